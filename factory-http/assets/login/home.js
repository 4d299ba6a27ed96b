// Says who is logged in, and logs out.
"use strict";

const statusLine = document.getElementById("status");
const logout = document.getElementById("logout");

function call(method) {
  const secret = sessionStorage.getItem("factory.page") || "";
  return fetch("/api/session", { method, headers: { "X-Factory-Page": secret } });
}

function leave() {
  sessionStorage.removeItem("factory.page");
  location.replace("/login");
}

async function show() {
  const response = await call("GET");
  if (response.status === 401) {
    leave();
    return;
  }
  const answer = await response.json();
  if (!response.ok) {
    statusLine.textContent = answer.detail || "The server refused.";
    return;
  }
  statusLine.textContent = `You are logged in as ${answer.name} (${answer.role}).`;
  document.getElementById("more").hidden = false;
  logout.hidden = false;
}

function failed() {
  statusLine.textContent = "The server does not answer. Is it still running?";
}

logout.addEventListener("click", () => {
  call("DELETE").then(leave, failed);
});

show().catch(failed);
