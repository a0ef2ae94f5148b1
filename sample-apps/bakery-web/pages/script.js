// The form works without this script. With it, orders are sent and shown without leaving the page.

const OPEN_INTERVAL_MS = 15_000;
const CLOSED_INTERVAL_MS = 3_000;

const form = document.querySelector("form");
const button = form.querySelector("button");
const message = document.querySelector("#message");
const latestOrders = document.querySelector("#latest");
let isClosed = false;
let timer;

function show(text, kind = "") {
  message.textContent = text;
  message.className = `notice ${kind}`;
  message.hidden = false;
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
      isClosed = true;
      show("We take orders again in a moment. Nothing was ordered. This page updates itself.", "bad");
    } else {
      const answer = await response.json();
      if (response.ok) {
        show(`Thank you, ${answer.name}. Your order number is ${answer.number}.`, "good");
        form.reset();
      } else {
        show(`${response.status === 502 ? "The bakery did not answer" : "Nothing was ordered"}: ${answer.detail}.`, "bad");
      }
    }
  } catch {
    show("No answer. Look at the latest orders before you order again.", "bad");
  } finally {
    button.disabled = false;
    refresh();
  }
});

function listItem(order) {
  const item = document.createElement("li");
  const text = document.createElement("span");
  // textContent, because names are user input.
  text.textContent = `${order.pieces} × ${order.bread} for ${order.name}`;
  const time = document.createElement("time");
  time.dateTime = order.at;
  time.textContent = new Date(order.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.append(text, time);
  return item;
}

async function refresh() {
  clearTimeout(timer);
  try {
    const response = await fetch("/orders", { headers: { Accept: "application/json" } });
    if (response.ok) {
      const { latest } = await response.json();
      latestOrders.querySelector("ol").replaceChildren(...latest.slice(0, 10).map(listItem));
      latestOrders.hidden = latest.length === 0;
      if (isClosed) {
        isClosed = false;
        show("We take orders again.", "good");
      }
    } else if (!isClosed) {
      isClosed = true;
      show("We take orders again in a moment.", "bad");
    }
  } catch {
    // The network is down. The next refresh shows whether it is back.
  }
  timer = setTimeout(refresh, isClosed ? CLOSED_INTERVAL_MS : OPEN_INTERVAL_MS);
}

refresh();
