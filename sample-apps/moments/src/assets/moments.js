// Follows what happens, and sends what somebody shares and says.
'use strict';

const wall = document.getElementById('wall');
const state = document.getElementById('state');
const told = document.getElementById('told');
const share = document.getElementById('share');
const shown = Number(document.body.dataset.comments);
let after = document.body.dataset.after;

// Back-off with full jitter: after a restart the windows do not come back all at once.
const BASE = 300;
const CAP = 15000;
let failures = 0;
let socket = null;
let timer = 0;
let opened = 0;
let heard = 0;

// Something is said every 20 seconds. After so much silence nobody is there.
const SILENCE = 50000;
// A connection that ends sooner was none that would count as a success.
const STEADY = 5000;

function say(what, text) {
  state.dataset.is = what;
  state.textContent = text;
}

function connect() {
  clearTimeout(timer);
  const address = new URL('/events', location.href);
  address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  address.searchParams.set('after', after);
  const mine = new WebSocket(address);
  socket = mine;
  opened = heard = Date.now();
  mine.addEventListener('message', (message) => {
    if (socket !== mine) return;
    heard = Date.now();
    if (heard - opened > STEADY) failures = 0;
    take(JSON.parse(message.data));
  });
  mine.addEventListener('close', () => { if (socket === mine) lost(); });
}

function lost() {
  socket = null;
  say('waiting', 'Not connected: trying again');
  timer = setTimeout(connect, Math.random() * Math.min(CAP, BASE * 2 ** failures));
  failures += 1;
}

setInterval(() => {
  if (socket === null || Date.now() - heard < SILENCE) return;
  socket.close();
  lost();
}, 5000);

// Whoever looks at the page again, or has a network again, does not want to wait.
function hurry() {
  if (socket === null && document.visibilityState === 'visible') connect();
}
document.addEventListener('visibilitychange', hurry);
addEventListener('online', hurry);
// A page that lies in the browser's history keeps no connection, and follows again when it is shown.
addEventListener('pagehide', () => {
  clearTimeout(timer);
  const last = socket;
  socket = null;
  if (last) last.close();
});
addEventListener('pageshow', (event) => { if (event.persisted) hurry(); });

// All of it is written and escaped by the server.
function parse(html) {
  const template = document.createElement('template');
  template.innerHTML = html;
  return template.content;
}

function take(news) {
  switch (news.kind) {
    case 'state':
      if (news.waiting) say('waiting', `Waiting for ${news.waiting}`);
      else say('live', 'Live');
      return;
    case 'everything':
      replace(news.html);
      break;
    case 'picture':
      if (!document.getElementById(`m-${news.picture}`)) {
        const piece = parse(news.html);
        piece.firstElementChild.classList.add('new');
        wall.prepend(piece);
        told.textContent = `New picture: ${news.said}`;
      }
      break;
    case 'comment':
      comment(news);
      break;
  }
  if (news.id) after = news.id;
  tellTimes();
}

function comment(news) {
  const moment = document.getElementById(`m-${news.picture}`);
  if (!moment || document.getElementById(`c-${news.id}`)) return;
  const list = moment.querySelector('.comments');
  const piece = parse(news.html);
  piece.firstElementChild.classList.add('new');
  list.append(piece);
  while (list.children.length > shown) list.firstElementChild.remove();
  list.scrollTop = list.scrollHeight;
  told.textContent = `New comment: ${news.said}`;
}

// What somebody is writing stays, and so does the place where.
function replace(html) {
  const drafts = [...wall.querySelectorAll('input')].map((field) => [field.id, field.value]);
  const focus = document.activeElement.id;
  wall.replaceChildren(parse(html));
  for (const [id, value] of drafts) {
    const field = document.getElementById(id);
    if (field) field.value = value;
  }
  const again = focus && document.getElementById(focus);
  if (again) again.focus({ preventScroll: true });
}

const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const units = [['year', 31536000], ['month', 2592000], ['day', 86400], ['hour', 3600], ['minute', 60]];
function tellTimes() {
  for (const time of wall.querySelectorAll('time')) {
    const seconds = (Date.now() - new Date(time.dateTime)) / 1000;
    const unit = units.find(([, length]) => seconds >= length);
    time.textContent = unit ? words.format(-Math.floor(seconds / unit[1]), unit[0]) : 'just now';
    time.title = new Date(time.dateTime).toLocaleString();
  }
}

// Sends, and says beside the form what became of it.
async function send(form, address, request) {
  const button = form.querySelector('button');
  const output = form.querySelector('output');
  output.className = '';
  output.textContent = '';
  button.disabled = true;
  const patience = setTimeout(() => { output.textContent = 'Sending…'; }, 300);
  let why = '';
  try {
    const answer = await fetch(address, { method: 'POST', ...request });
    if (!answer.ok) why = (await answer.text()).trim() || `It was refused (${answer.status})`;
  } catch {
    why = 'The app cannot be reached: try again';
  }
  clearTimeout(patience);
  button.disabled = false;
  output.className = why ? 'bad' : '';
  output.textContent = why;
  return why === '';
}

share.addEventListener('submit', async (event) => {
  event.preventDefault();
  const [picture, caption, output] = [share.elements.picture, share.elements.caption, share.querySelector('output')];
  const file = picture.files[0];
  if (file.size > Number(document.body.dataset.most)) {
    output.className = 'bad';
    output.textContent = 'This picture is too large.';
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

// A browser may keep nothing for this page; then the name is asked for again.
try {
  share.elements.name.value = localStorage.getItem('name') ?? '';
  share.elements.name.addEventListener('change', () => localStorage.setItem('name', share.elements.name.value));
} catch { /* as said */ }

tellTimes();
setInterval(tellTimes, 30000);
connect();
