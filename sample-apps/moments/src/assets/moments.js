// Receives new moments over a WebSocket, and sends pictures and comments.
'use strict';

const wall = document.getElementById('wall');
const state = document.getElementById('state');
const announcement = document.getElementById('announcement');
const share = document.getElementById('share');
const commentsShown = Number(document.body.dataset.comments);
let lastId = document.body.dataset.after;

// Back-off with full jitter, so that the windows don't reconnect all at once after a restart.
const BASE_MS = 300;
const CAP_MS = 15000;
let failures = 0;
let socket = null;
let reconnectTimer = 0;
let openedAt = 0;
let lastHeard = 0;

// The server sends a message at least every 20 seconds. After a longer silence the connection is dead.
const SILENCE_TIMEOUT_MS = 50000;
// A connection that lasts this long resets the back-off.
const STABLE_MS = 5000;

function showState(name, text) {
  state.dataset.state = name;
  state.textContent = text;
}

function connect() {
  clearTimeout(reconnectTimer);
  const address = new URL('/events', location.href);
  address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  address.searchParams.set('after', lastId);
  const current = new WebSocket(address);
  socket = current;
  openedAt = lastHeard = Date.now();
  current.addEventListener('message', (message) => {
    if (socket !== current) return;
    lastHeard = Date.now();
    if (lastHeard - openedAt > STABLE_MS) failures = 0;
    handle(JSON.parse(message.data));
  });
  current.addEventListener('close', () => { if (socket === current) disconnected(); });
}

function disconnected() {
  socket = null;
  showState('waiting', 'Not connected. Reconnecting…');
  reconnectTimer = setTimeout(connect, Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** failures));
  failures += 1;
}

setInterval(() => {
  if (socket === null || Date.now() - lastHeard < SILENCE_TIMEOUT_MS) return;
  socket.close();
  disconnected();
}, 5000);

// Reconnects without waiting when the user returns to the page or the network comes back.
function reconnectNow() {
  if (socket === null && document.visibilityState === 'visible') connect();
}
document.addEventListener('visibilitychange', reconnectNow);
addEventListener('online', reconnectNow);
// A page in the browser's back/forward cache closes its connection, and reconnects when it is shown again.
addEventListener('pagehide', () => {
  clearTimeout(reconnectTimer);
  const current = socket;
  socket = null;
  if (current) current.close();
});
addEventListener('pageshow', (event) => { if (event.persisted) reconnectNow(); });

// The server renders and escapes all HTML.
function parse(html) {
  const template = document.createElement('template');
  template.innerHTML = html;
  return template.content;
}

function handle(message) {
  switch (message.kind) {
    case 'state':
      if (message.waiting) showState('waiting', `Waiting for ${message.waiting}`);
      else showState('live', 'Live');
      return;
    case 'snapshot':
      replace(message.html);
      break;
    case 'picture':
      if (!document.getElementById(`m-${message.picture}`)) {
        const fragment = parse(message.html);
        fragment.firstElementChild.classList.add('new');
        wall.prepend(fragment);
        announcement.textContent = `New picture: ${message.text}`;
      }
      break;
    case 'comment':
      addComment(message);
      break;
  }
  if (message.id) lastId = message.id;
  updateTimes();
}

function addComment(message) {
  const moment = document.getElementById(`m-${message.picture}`);
  if (!moment || document.getElementById(`c-${message.id}`)) return;
  const list = moment.querySelector('.comments');
  const fragment = parse(message.html);
  fragment.firstElementChild.classList.add('new');
  list.append(fragment);
  while (list.children.length > commentsShown) list.firstElementChild.remove();
  list.scrollTop = list.scrollHeight;
  announcement.textContent = `New comment: ${message.text}`;
}

// Keeps the drafts and the focus of the user.
function replace(html) {
  const drafts = [...wall.querySelectorAll('input')].map((field) => [field.id, field.value]);
  const focusedId = document.activeElement.id;
  wall.replaceChildren(parse(html));
  for (const [id, value] of drafts) {
    const field = document.getElementById(id);
    if (field) field.value = value;
  }
  const focused = focusedId && document.getElementById(focusedId);
  if (focused) focused.focus({ preventScroll: true });
}

const relativeTime = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const units = [['year', 31536000], ['month', 2592000], ['day', 86400], ['hour', 3600], ['minute', 60]];
function updateTimes() {
  for (const time of wall.querySelectorAll('time')) {
    const seconds = (Date.now() - new Date(time.dateTime)) / 1000;
    const unit = units.find(([, length]) => seconds >= length);
    time.textContent = unit ? relativeTime.format(-Math.floor(seconds / unit[1]), unit[0]) : 'just now';
    time.title = new Date(time.dateTime).toLocaleString();
  }
}

// Sends a request and shows its outcome beside the form. Returns whether it succeeded.
async function send(form, address, request) {
  const button = form.querySelector('button');
  const output = form.querySelector('output');
  output.className = '';
  output.textContent = '';
  button.disabled = true;
  const progressTimer = setTimeout(() => { output.textContent = 'Sending…'; }, 300);
  let failure = '';
  try {
    const response = await fetch(address, { method: 'POST', ...request });
    if (!response.ok) failure = (await response.text()).trim() || `Not saved: the server answered ${response.status}`;
  } catch {
    failure = 'The app is unreachable. Retry.';
  }
  clearTimeout(progressTimer);
  button.disabled = false;
  output.className = failure ? 'bad' : '';
  output.textContent = failure;
  return failure === '';
}

share.addEventListener('submit', async (event) => {
  event.preventDefault();
  const [picture, caption, output] = [share.elements.picture, share.elements.caption, share.querySelector('output')];
  const file = picture.files[0];
  if (file.size > Number(document.body.dataset.pictureBytes)) {
    output.className = 'bad';
    output.textContent = 'The picture is too large.';
    return;
  }
  const query = new URLSearchParams({ caption: caption.value });
  if (await send(share, `/pictures?${query}`, { body: file })) {
    picture.value = '';
    caption.value = '';
  }
});

wall.addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.target;
  const field = form.elements.text;
  const body = JSON.stringify({ name: share.elements.name.value, text: field.value });
  const sent = field.value;
  const headers = { 'content-type': 'application/json' };
  if (await send(form, `/pictures/${form.dataset.picture}/comments`, { body, headers }) && field.value === sent) field.value = '';
});

// Remembers the name, if the browser allows storage for this page.
try {
  share.elements.name.value = localStorage.getItem('name') ?? '';
  share.elements.name.addEventListener('change', () => localStorage.setItem('name', share.elements.name.value));
} catch { /* Storage is blocked: the user enters the name each time. */ }

updateTimes();
setInterval(updateTimes, 30000);
connect();
