// Enhancements of the pages. Every page also works without this script.
'use strict';

const main = document.getElementById('main');
const live = document.getElementById('live');

// Shows relative times. The title holds the exact time.
const relativeTime = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const units = [['year', 31536000], ['month', 2592000], ['day', 86400], ['hour', 3600], ['minute', 60]];
function updateTimes() {
  for (const time of document.querySelectorAll('time')) {
    const seconds = (Date.now() - new Date(time.dateTime)) / 1000;
    const unit = units.find(([, length]) => seconds >= length);
    time.textContent = unit ? relativeTime.format(-Math.floor(seconds / unit[1]), unit[0]) : 'just now';
  }
}

function addCopyButtons() {
  for (const figure of document.querySelectorAll('figure.command:not(.copies)')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'quiet';
    button.textContent = 'Copy';
    button.addEventListener('click', async () => {
      const text = figure.querySelector('code').textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
      } catch {
        // Browsers block the clipboard without https. Select the text for Ctrl+C instead.
        getSelection().selectAllChildren(figure.querySelector('code'));
        button.textContent = 'Selected';
      }
      setTimeout(() => { button.textContent = 'Copy'; }, 2000);
    });
    figure.append(button);
    figure.classList.add('copies');
  }
}

// A refresh must not discard input, or change a preview that the user is about to confirm.
function hasPendingInput() {
  if (main.querySelector('#refused, section.sheet')) return true;
  return [...main.querySelectorAll('input:not([type=hidden]), textarea')]
    .some((field) => field.value !== field.defaultValue || (field === document.activeElement && field.value !== ''));
}

async function refresh() {
  if (hasPendingInput()) {
    live.textContent = 'changed: reload to update';
    return;
  }
  const response = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (response.status === 401 || response.status === 403) {
    location.reload();
    return;
  }
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  if (hasPendingInput()) return;
  const focusable = () => [...main.querySelectorAll('a, button, input, textarea, [tabindex]')];
  const focused = focusable().indexOf(document.activeElement);
  const name = document.activeElement?.textContent;
  main.replaceChildren(...page.getElementById('main').childNodes);
  enhance();
  // Restore the keyboard focus: same position, or the same label elsewhere.
  const candidate = focusable()[focused];
  const target = candidate?.textContent === name ? candidate : focusable().find((element) => name && element.textContent === name);
  target?.focus({ preventScroll: true });
}

// Browsers allow six connections per server across all tabs, so hidden pages close their event stream.
function followEvents(address) {
  const kinds = ['publish', 'yank', 'purge', 'configure', 'release', 'move', 'restrict', 'sign', 'retain', 'missed'];
  let events = null;
  let timer = 0;
  let wasDisconnected = false;
  const scheduleRefresh = () => {
    // Do not restart the timer: a steady stream of events would postpone the refresh forever.
    timer ||= setTimeout(() => { timer = 0; refresh().catch(() => {}); }, 200);
  };
  const stop = () => {
    events?.close();
    events = null;
    live.hidden = true;
    wasDisconnected = true;
  };
  const start = () => {
    if (events || document.hidden) return;
    events = new EventSource(address);
    events.addEventListener('open', () => {
      live.textContent = 'live';
      live.hidden = false;
      if (wasDisconnected) scheduleRefresh();
      wasDisconnected = false;
    });
    events.addEventListener('error', () => {
      live.hidden = true;
      wasDisconnected = true;
      // Browsers do not reconnect after a response that is not an event stream.
      if (events?.readyState !== EventSource.CLOSED) return;
      events = null;
      setTimeout(start, 30000);
    });
    for (const kind of kinds) events.addEventListener(kind, scheduleRefresh);
  };
  addEventListener('pagehide', stop);
  addEventListener('pageshow', start);
  document.addEventListener('visibilitychange', () => (document.hidden ? stop() : start()));
  start();
}

// Validates the text while the user types, and marks the position of an error behind the text.
function watchEditor() {
  const form = main.querySelector('form.editor:not(.watched)');
  if (!form) return;
  form.classList.add('watched');
  const text = form.querySelector('textarea');
  const lines = document.createElement('div');
  lines.className = 'lines';
  const backdrop = document.createElement('pre');
  backdrop.className = 'behind';
  backdrop.setAttribute('aria-hidden', 'true');
  const message = document.createElement('output');
  text.replaceWith(lines);
  lines.append(backdrop, text);
  lines.after(message);
  const syncScroll = () => { backdrop.scrollTop = text.scrollTop; backdrop.scrollLeft = text.scrollLeft; };
  text.addEventListener('scroll', syncScroll);

  function mark(line, column) {
    const all = text.value.split('\n');
    const found = [...(all[line - 1] ?? '')];
    const row = document.createElement('mark');
    const at = document.createElement('b');
    at.textContent = found[column - 1] ?? ' ';
    row.append(found.slice(0, column - 1).join(''), at, found.slice(column).join(''));
    backdrop.replaceChildren(all.slice(0, line - 1).map((earlier) => earlier + '\n').join(''), row, '\n' + all.slice(line).join('\n') + '\n');
    syncScroll();
  }

  let timer = 0;
  let lastCheck = 0;
  async function check() {
    const id = ++lastCheck;
    const body = new URLSearchParams({ check: 'true', content: text.value });
    const response = await fetch(form.action, { method: 'POST', body });
    if (!response.ok || id !== lastCheck) return;
    const found = await response.json();
    if (found.line) {
      mark(found.line, found.column);
      message.textContent = found.detail;
    } else {
      backdrop.replaceChildren();
      message.textContent = (found.warnings ?? []).join(' ');
    }
    message.className = found.line ? 'bad' : '';
    text.setAttribute('aria-invalid', String(Boolean(found.line)));
  }
  text.addEventListener('input', () => {
    backdrop.replaceChildren();
    clearTimeout(timer);
    timer = setTimeout(() => check().catch(() => {}), 250);
  });

  let isSent = false;
  form.addEventListener('submit', () => { isSent = true; });
  addEventListener('beforeunload', (event) => {
    const isUnsaved = text.value !== text.defaultValue || main.querySelector('#refused');
    if (!isSent && text.isConnected && isUnsaved) event.preventDefault();
  });
  if (form.dataset.line) {
    const line = Number(form.dataset.line);
    mark(line, Number(form.dataset.column));
    text.scrollTop = (line - 4) * parseFloat(getComputedStyle(text).lineHeight);
    syncScroll();
  }
}

function enhance() {
  updateTimes();
  addCopyButtons();
  watchEditor();
}

enhance();
setInterval(updateTimes, 30000);
// Drop the parameters of success notices, so that a reload does not show them again.
const address = new URL(location.href);
if (['done', 'saved'].some((name) => address.searchParams.has(name))) {
  address.searchParams.delete('done');
  address.searchParams.delete('saved');
  history.replaceState(null, '', address);
}
if (document.body.dataset.events) followEvents(document.body.dataset.events);
