// Without this script the form still works. With it, the page stays where it is, and tells what happens.

const AGAIN_MS = 15_000; // the book, while orders are taken
const CLOSED_MS = 3_000; // whether they are taken again

const form = document.querySelector("form");
const button = form.querySelector("button");
const said = document.querySelector("#said");
const book = document.querySelector("#book");
let closed = false;
let timer;

function say(text, kind = "") {
  said.textContent = text;
  said.className = `notice ${kind}`;
  said.hidden = false;
}

function shut() {
  closed = true;
  say("We take orders again in a moment. Nothing was ordered; this page looks by itself.", "bad");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    const response = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form)),
    });
    if (response.status === 503) {
      shut();
    } else {
      const answer = await response.json();
      if (response.ok) {
        say(`Thank you, ${answer.name}. It is order ${answer.number}.`, "good");
        form.reset();
      } else {
        say(`${response.status === 502 ? "No answer came" : "This was not ordered"}: ${answer.detail}.`, "bad");
      }
    }
  } catch {
    say("No answer came. Look at the book before you order again.", "bad");
  } finally {
    button.disabled = false;
    look();
  }
});

function line(order) {
  const item = document.createElement("li");
  const what = document.createElement("span");
  // Names come from people: they are text, and never markup.
  what.textContent = `${order.pieces} × ${order.bread} for ${order.name}`;
  const when = document.createElement("time");
  when.dateTime = order.at;
  when.textContent = new Date(order.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.append(what, when);
  return item;
}

async function look() {
  clearTimeout(timer);
  try {
    const response = await fetch("/orders", { headers: { Accept: "application/json" } });
    if (response.ok) {
      const { latest } = await response.json();
      book.querySelector("ol").replaceChildren(...latest.slice(0, 10).map(line));
      book.hidden = latest.length === 0;
      if (closed) {
        closed = false;
        say("We take orders again.", "good");
      }
    } else if (!closed) {
      closed = true;
      say("We take orders again in a moment.", "bad");
    }
  } catch {
    // Away from the network: the next look will tell.
  }
  timer = setTimeout(look, closed ? CLOSED_MS : AGAIN_MS);
}

look();
