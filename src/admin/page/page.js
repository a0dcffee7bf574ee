// Renews the live part of the page every two seconds. Without it the page is what it was when it was loaded.
"use strict";

const live = document.getElementById("live");
const refreshed = document.getElementById("refreshed");
const pause = document.getElementById("pause");
const PERIOD = 2000;
let isPaused = false;

/** What has focus in the live part is replaced by its like, and tables keep their scroll position. */
function renew(text) {
  const focused = live.contains(document.activeElement) ? document.activeElement.getAttribute("aria-labelledby") : null;
  const scrolled = [...live.querySelectorAll(".table")].map((table) => [table.getAttribute("aria-labelledby"), table.scrollLeft]);
  // It is this program's own page, in which every value is escaped.
  const part = new DOMParser().parseFromString(text, "text/html");
  live.replaceChildren(...part.body.childNodes);
  const table = (id) => live.querySelector(`.table[aria-labelledby="${id}"]`);
  for (const [id, left] of scrolled) if (left && table(id)) table(id).scrollLeft = left;
  if (focused) table(focused)?.focus({ preventScroll: true });
}

function isSelecting() {
  const selection = document.getSelection();
  return !selection.isCollapsed && live.contains(selection.anchorNode);
}

async function tick() {
  if (!isPaused && !document.hidden && !isSelecting()) {
    try {
      const response = await fetch("/live", { signal: AbortSignal.timeout(5000) });
      if (!response.ok) throw new Error(`status ${response.status}`);
      renew(await response.text());
      document.body.classList.remove("stale");
      if (refreshed.textContent !== "Live") refreshed.textContent = "Live";
    } catch {
      document.body.classList.add("stale");
      const text = "The gateway does not respond: this is what it last showed";
      if (refreshed.textContent !== text) refreshed.textContent = text;
    }
  }
  setTimeout(tick, PERIOD);
}

pause.hidden = false;
pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.textContent = isPaused ? "Go on" : "Pause";
  refreshed.textContent = isPaused ? "Paused" : "Live";
});
refreshed.textContent = "Live";
setTimeout(tick, PERIOD);
