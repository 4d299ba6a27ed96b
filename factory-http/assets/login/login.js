// Takes the login code out of the link's fragment, turns it into a session, and keeps the page's own secret. The cookie
// that comes with it is out of reach of scripts; neither opens anything without the other.
"use strict";

const statusLine = document.getElementById("status");
const form = document.getElementById("form");
const field = document.getElementById("code");

function ask(message) {
  statusLine.textContent = message;
  form.hidden = false;
  field.focus();
}

async function logIn(code) {
  statusLine.textContent = "Logging you in …";
  let response;
  try {
    response = await fetch("/api/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code }),
    });
  } catch {
    ask("The server does not answer. Is it still running?");
    return;
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    ask(answer.detail || "That did not work.");
    return;
  }
  sessionStorage.setItem("factory.page", answer.page);
  location.replace("/");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = field.value.trim();
  field.value = "";
  logIn(text.slice(text.lastIndexOf("#") + 1));
});

const code = location.hash.slice(1);
// The code is used up in a moment; it need not stay in the history until then.
history.replaceState(null, "", location.pathname);
if (code) {
  logIn(code);
} else {
  ask("You are not logged in.");
}
