// What makes the pages pleasant. Each of them works without.
'use strict';

const main = document.getElementById('main');
const live = document.getElementById('live');

// Times as people say them; the exact one stays in the title.
const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const units = [['year', 31536000], ['month', 2592000], ['day', 86400], ['hour', 3600], ['minute', 60]];
function tellTimes() {
  for (const time of document.querySelectorAll('time')) {
    const seconds = (Date.now() - new Date(time.dateTime)) / 1000;
    const unit = units.find(([, length]) => seconds >= length);
    time.textContent = unit ? words.format(-Math.floor(seconds / unit[1]), unit[0]) : 'just now';
  }
}

function offerCopies() {
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
        // Without https a browser lets nobody at the clipboard: then it is selected, for Ctrl+C.
        getSelection().selectAllChildren(figure.querySelector('code'));
        button.textContent = 'Selected';
      }
      setTimeout(() => { button.textContent = 'Copy'; }, 2000);
    });
    figure.append(button);
    figure.classList.add('copies');
  }
}

// What somebody has typed is not taken away, and neither is what somebody is about to confirm.
function isBeingWritten() {
  if (main.querySelector('#refused, section.sheet')) return true;
  return [...main.querySelectorAll('input:not([type=hidden]), textarea')]
    .some((field) => field.value !== field.defaultValue || (field === document.activeElement && field.value !== ''));
}

async function renew() {
  if (isBeingWritten()) {
    live.textContent = 'changed: load the page to see it';
    return;
  }
  const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (answer.status === 401 || answer.status === 403) {
    location.reload();
    return;
  }
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  if (isBeingWritten()) return;
  const stops = () => [...main.querySelectorAll('a, button, input, textarea, [tabindex]')];
  const focused = stops().indexOf(document.activeElement);
  const name = document.activeElement?.textContent;
  main.replaceChildren(...page.getElementById('main').childNodes);
  decorate();
  // Whoever goes by keyboard stays where they were, or where the like of it is now.
  const stop = stops()[focused];
  const like = stop?.textContent === name ? stop : stops().find((it) => name && it.textContent === name);
  like?.focus({ preventScroll: true });
}

// A browser has six connections to a server, whatever the number of pages: who is not looked at, or was left, holds none.
function follow(address) {
  const kinds = ['publish', 'yank', 'purge', 'configure', 'release', 'move', 'restrict', 'sign', 'retain', 'missed'];
  let events = null;
  let timer = 0;
  let wasCutOff = false;
  const soon = () => {
    // Not anew with each event: many of them in a row would put it off for ever.
    timer ||= setTimeout(() => { timer = 0; renew().catch(() => {}); }, 200);
  };
  const stop = () => {
    events?.close();
    events = null;
    live.hidden = true;
    wasCutOff = true;
  };
  const start = () => {
    if (events || document.hidden) return;
    events = new EventSource(address);
    events.addEventListener('open', () => {
      live.textContent = 'live';
      live.hidden = false;
      if (wasCutOff) soon();
      wasCutOff = false;
    });
    events.addEventListener('error', () => {
      live.hidden = true;
      wasCutOff = true;
      // After an answer that is none of events a browser gives up.
      if (events?.readyState !== EventSource.CLOSED) return;
      events = null;
      setTimeout(start, 30000);
    });
    for (const kind of kinds) events.addEventListener(kind, soon);
  };
  addEventListener('pagehide', stop);
  addEventListener('pageshow', start);
  document.addEventListener('visibilitychange', () => (document.hidden ? stop() : start()));
  start();
}

// The place of an error is marked behind the text, while somebody writes.
function watchEditor() {
  const form = main.querySelector('form.editor:not(.watched)');
  if (!form) return;
  form.classList.add('watched');
  const text = form.querySelector('textarea');
  const lines = document.createElement('div');
  lines.className = 'lines';
  const behind = document.createElement('pre');
  behind.className = 'behind';
  behind.setAttribute('aria-hidden', 'true');
  const said = document.createElement('output');
  text.replaceWith(lines);
  lines.append(behind, text);
  lines.after(said);
  const place = () => { behind.scrollTop = text.scrollTop; behind.scrollLeft = text.scrollLeft; };
  text.addEventListener('scroll', place);

  function mark(line, column) {
    const all = text.value.split('\n');
    const found = [...(all[line - 1] ?? '')];
    const row = document.createElement('mark');
    const at = document.createElement('b');
    at.textContent = found[column - 1] ?? ' ';
    row.append(found.slice(0, column - 1).join(''), at, found.slice(column).join(''));
    behind.replaceChildren(all.slice(0, line - 1).map((it) => it + '\n').join(''), row, '\n' + all.slice(line).join('\n') + '\n');
    place();
  }

  let timer = 0;
  let last = 0;
  async function check() {
    const mine = ++last;
    const body = new URLSearchParams({ check: 'true', content: text.value });
    const answer = await fetch(form.action, { method: 'POST', body });
    if (!answer.ok || mine !== last) return;
    const found = await answer.json();
    if (found.line) {
      mark(found.line, found.column);
      said.textContent = found.detail;
    } else {
      behind.replaceChildren();
      said.textContent = (found.warnings ?? []).join(' ');
    }
    said.className = found.line ? 'bad' : '';
    text.setAttribute('aria-invalid', String(Boolean(found.line)));
  }
  text.addEventListener('input', () => {
    behind.replaceChildren();
    clearTimeout(timer);
    timer = setTimeout(() => check().catch(() => {}), 250);
  });

  let isSent = false;
  form.addEventListener('submit', () => { isSent = true; });
  addEventListener('beforeunload', (event) => {
    const isDraft = text.value !== text.defaultValue || main.querySelector('#refused');
    if (!isSent && text.isConnected && isDraft) event.preventDefault();
  });
  if (form.dataset.line) {
    const line = Number(form.dataset.line);
    mark(line, Number(form.dataset.column));
    text.scrollTop = (line - 4) * parseFloat(getComputedStyle(text).lineHeight);
    place();
  }
}

function decorate() {
  tellTimes();
  offerCopies();
  watchEditor();
}

decorate();
setInterval(tellTimes, 30000);
// Once read it is no news any more, also when the page is loaded again.
const address = new URL(location.href);
if (['done', 'saved'].some((name) => address.searchParams.has(name))) {
  address.searchParams.delete('done');
  address.searchParams.delete('saved');
  history.replaceState(null, '', address);
}
if (document.body.dataset.events) follow(document.body.dataset.events);
