/* What the console does beyond plain HTML, keyed on data- attributes. Every page works without this file:
   here is only what makes it quicker to use. htmx comes first in the page; both are deferred. */

const root = document.documentElement;
const words = () => document.getElementById("words").dataset;
const live = (selector, scope = document) => [...scope.querySelectorAll(selector)];
const on = (type, selector, act) =>
  document.addEventListener(type, (event) => {
    const element = event.target.closest?.(selector);
    if (element) act(element, event);
  });

/* --- The server's clock ---------------------------------------------------------------------------------
   Deadlines are the server's, and laptops are off by minutes. The page says what time it was when it was
   made; every later answer says so again in its Date header, which also mends a page taken from a cache. */

let offset = 0;
const hear = (moment, heard) => { if (!Number.isNaN(moment)) offset = moment - heard; };
hear(Date.parse(root.dataset.now), performance.timeOrigin + (performance.getEntriesByType("navigation")[0]?.responseStart ?? 0));
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  // Whole seconds only: not worth a correction unless the difference can be seen.
  const moment = Date.parse(detail.xhr?.getResponseHeader("Date"));
  if (Math.abs(moment - Date.now() - offset) > 2000) hear(moment, Date.now());
});

/* --- Countdown: [data-ends], with a progress element as its next sibling --------------------------------- */

const say = (unit, n) => words()[unit].replace("{n}", n);

/** The same words as the server's template filter, so that the first tick changes nothing but the number. */
function remaining(seconds) {
  const d = Math.floor(seconds / 86400), h = Math.floor(seconds / 3600) % 24, min = Math.floor(seconds / 60) % 60, s = seconds % 60;
  if (d) return `${say("d", d)} ${say("h", h)}`;
  if (h) return `${say("h", h)} ${say("min", min)}`;
  if (min >= 5) return say("min", min);
  return min ? `${say("min", min)} ${say("s", s)}` : say("s", s);
}

const waiting = new Map(); // list key → {next, pause}: when to ask again for a list with rows that have ended

function tick() {
  const now = Date.now() + offset;
  const overdue = new Map();
  for (const element of live("[data-ends]")) {
    const seconds = Math.max(0, Math.floor((Date.parse(element.dataset.ends) - now) / 1000));
    const text = seconds ? remaining(seconds) : words().ending;
    if (element.textContent !== text) element.textContent = text;
    element.classList.toggle("soon", seconds < 1800 && seconds >= 300);
    element.classList.toggle("now", seconds < 300);
    const meter = element.nextElementSibling;
    if (meter?.matches("progress")) meter.value = seconds;
    const list = element.closest("[data-list]");
    if (!seconds && list) overdue.set(list.dataset.list, list);
  }
  for (const key of waiting.keys()) if (!overdue.has(key)) waiting.delete(key);
  for (const [key, list] of overdue) {
    const turn = waiting.get(key) ?? { next: now, pause: 2500 };
    if (now >= turn.next && !document.hidden && !busy(list)) {
      // The sweep comes by in its own time: ask again, but ever more seldom.
      turn.pause = Math.min(turn.pause * 2, 60000);
      turn.next = now + turn.pause;
      htmx.trigger(list, "due");
    }
    waiting.set(key, turn);
  }
}
setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);

/* --- Selection: a form[data-list] with checkboxes named ids ------------------------------------------------
   Picks outlive paging, sorting and refreshing, but not a change of the filter: what is acted on is never
   more than what was named. Picks that are not on this page go along as hidden inputs. */

const picksOf = new Map(); // list key → {filter, ids: Set, all, place, shown}

function recall(list) {
  const { list: key, filter = "" } = list.dataset;
  let picks = picksOf.get(key);
  if (!picks) {
    const kept = JSON.parse(sessionStorage.getItem(`picks:${key}`) ?? "null");
    picks = { filter, all: false, ...kept, ids: new Set(kept?.ids), shown: new Set() };
    picksOf.set(key, picks);
  }
  if (picks.filter !== filter) Object.assign(picks, { filter, all: false, ids: new Set(), shown: new Set() });
  return picks;
}

/** Drop the picks of the lists on this page, apart from those to keep (refused ones, for another try). */
function forget(kept = []) {
  for (const list of live("form[data-list]")) {
    Object.assign(recall(list), { all: false, ids: new Set(kept) });
    show(list);
  }
}

/** Bring the page in line with the picks; with fresh=true the rows have just arrived from the server. */
function show(list, fresh = false) {
  const boxes = live("input[name=ids][type=checkbox]", list);
  const master = list.querySelector("[data-check-page]");
  if (!master && !boxes.length && !list.querySelector("[data-sel]")) return;
  const picks = recall(list);
  const shown = new Set(boxes.map((box) => box.value));
  if (fresh) {
    // The same page again without a row: it is gone, and with it its pick.
    if (picks.place === location.href) for (const id of picks.shown) if (!shown.has(id)) picks.ids.delete(id);
    for (const box of boxes) if (box.defaultChecked) picks.ids.add(box.value); // refused a moment ago
    Object.assign(picks, { place: location.href, shown });
  }
  for (const box of boxes) box.checked = picks.all || picks.ids.has(box.value);
  if (master) {
    const ticked = boxes.filter((box) => box.checked).length;
    master.checked = ticked > 0 && ticked === boxes.length;
    master.indeterminate = ticked > 0 && ticked < boxes.length;
  }
  list.querySelector("[data-picks]")?.remove();
  const elsewhere = document.createElement("span");
  elsewhere.hidden = true;
  elsewhere.dataset.picks = "";
  for (const id of picks.ids) if (!picks.all && !shown.has(id)) elsewhere.append(hidden("ids", id));
  if (picks.all) elsewhere.append(hidden("all", "1"));
  list.append(elsewhere);

  // "10000+" where counting further would have slowed the page.
  const total = list.querySelector("[data-select-all]")?.dataset.selectAll ?? "0";
  const n = picks.all ? total : picks.ids.size;
  const bar = list.querySelector("[data-sel]");
  if (bar) {
    const count = bar.querySelector("[data-count]");
    const text = (picks.all ? count.dataset.all : n ? count.dataset.some : count.dataset.empty).replace("{n}", n);
    if (count.textContent !== text) count.textContent = text;
    bar.hidden = !boxes.length && !n;
    bar.classList.toggle("some", picks.all || n > 0);
    const more = bar.querySelector("[data-select-all]");
    if (more) more.hidden = picks.all || parseInt(total) <= picks.ids.size;
  }
  for (const button of live("[data-needs-selection]")) {
    if (listOf(button) !== list) continue;
    if (n || picks.all) { button.removeAttribute("aria-disabled"); button.removeAttribute("title"); }
    else { button.setAttribute("aria-disabled", "true"); button.title = button.dataset.needsSelection; }
  }
  sessionStorage.setItem(`picks:${list.dataset.list}`, JSON.stringify({ filter: picks.filter, all: picks.all, place: picks.place, ids: [...picks.ids] }));
}

const hidden = (name, value) => Object.assign(document.createElement("input"), { type: "hidden", name, value });
const listOf = (button) => document.getElementById(button.dataset.for ?? "") ?? button.form ?? button.closest("[data-list]");

let last = null; // the box ticked before, for shift-click
on("click", "form[data-list] input[name=ids][type=checkbox]", (box, event) => {
  const list = box.form, picks = recall(list), boxes = live("input[name=ids][type=checkbox]", list);
  if (picks.all) Object.assign(picks, { all: false, ids: new Set(boxes.filter((b) => b.checked).map((b) => b.value)) });
  const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
  const range = event.shiftKey && from >= 0 ? boxes.slice(from, to + 1) : [box];
  for (const each of range) picks.ids[box.checked ? "add" : "delete"](each.value);
  last = box;
  show(list);
});
on("change", "[data-check-page]", (master) => {
  const picks = recall(master.form);
  picks.all = false;
  for (const box of live("input[name=ids][type=checkbox]", master.form)) picks.ids[master.checked ? "add" : "delete"](box.value);
  show(master.form);
});
on("click", "[data-select-all]", (button) => { recall(button.form).all = true; show(button.form); button.form.focus({ preventScroll: true }); });
on("click", "[data-clear]", (button) => { forget(); button.form.focus({ preventScroll: true }); });
// Another account, another person: their picks mean nothing here.
on("submit", "[data-forget]", () => { picksOf.clear(); sessionStorage.clear(); });
// Before htmx hears of it: a button that is off says why instead of asking the server, and Cancel closes its dialog.
document.addEventListener("click", (event) => {
  const stop = event.target.closest?.("[aria-disabled=true], dialog:modal [data-close]");
  if (!stop) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (stop.matches("[data-close]")) close();
  else if (stop.dataset.needsSelection) toast("warning", stop.dataset.needsSelection);
}, true);

/* --- Dialogs: what is swapped into #dialog opens; an answer with HX-Trigger: done closes it ------------------ */

let opener = null;
document.addEventListener("htmx:beforeRequest", ({ detail }) => { if (detail.target?.id === "dialog" && !document.querySelector("dialog:modal")) opener = detail.elt; });

function open(dialog) {
  dialog.removeAttribute("open");
  dialog.showModal();
  // What scrolls must be within reach of the keyboard.
  for (const body of live(".body", dialog)) if (body.scrollHeight > body.clientHeight) body.tabIndex = 0;
  dialog.addEventListener("close", () => {
    dialog.remove();
    // The row that opened it may be gone by now; then the list is the next best place to be.
    if (!document.activeElement || document.activeElement === document.body) (opener?.isConnected ? opener : document.querySelector("[data-list], h1, main"))?.focus({ preventScroll: true });
  });
  live("[data-must-equal]", dialog).forEach(compare);
}
function compare(input) {
  const same = input.value.trim() === input.dataset.mustEqual;
  const button = input.form.querySelector("footer .main") ?? input.form.querySelector(".main");
  if (button) button.disabled = !same;
}
const close = () => live("dialog[data-modal]:modal").forEach((dialog) => dialog.close());
on("input", "[data-must-equal]", compare);
// As a page of its own there is no list to go back to by a swap: send it as a plain form.
document.addEventListener("submit", (event) => { if (event.target.closest("main .modal")) event.stopImmediatePropagation(); }, true);
document.addEventListener("done", ({ detail }) => {
  // After the swap that this answer brings: closing removes the element which asked for it.
  setTimeout(() => { close(); forget(detail?.keep); });
});

/* --- Messages ------------------------------------------------------------------------------------------------ */

function toast(level, text) {
  const { icons, close: label } = words();
  const box = document.createElement("div");
  box.className = `toast ${level}`;
  box.innerHTML = `<svg class="icon" aria-hidden="true"><use href="${icons}#${level}"/></svg><div></div><button type="button" class="btn icon bare" data-close-toast><svg class="icon" aria-hidden="true"><use href="${icons}#close"/></svg></button>`;
  box.children[1].textContent = text;
  box.children[2].setAttribute("aria-label", label);
  // Under an open dialog a message could be neither read nor closed.
  const form = document.querySelector("dialog:modal form");
  if (form) { box.setAttribute("role", "alert"); form.querySelector(".toast")?.remove(); form.querySelector("footer").before(box); }
  else document.getElementById("messages")?.replaceChildren(box);
}
on("click", "[data-close-toast]", (button) => button.closest(".toast").remove());
setInterval(() => {
  // Good news leaves by itself, unless somebody is on it; whatever went wrong stays until it is closed.
  for (const box of live(".messages > .toast.success:not(:hover, :focus-within)")) {
    box.dataset.age = Number(box.dataset.age ?? 0) + 1;
    if (box.dataset.age >= 10) box.remove();
  }
}, 1000);

document.addEventListener("htmx:sendError", () => toast("error", words().offline));
document.addEventListener("htmx:timeout", () => toast("error", words().offline));
document.addEventListener("htmx:responseError", ({ detail }) => {
  toast("error", detail.xhr.status === 403 ? words().forbidden : words().failed.replace("{n}", detail.xhr.status));
});
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const { xhr, requestConfig = {} } = detail;
  const whole = /<html[\s>]/i.test(xhr.responseText.slice(0, 2000));
  const visit = detail.boosted || requestConfig.boosted || xhr.getResponseHeader("HX-Retarget") === "body";
  if (xhr.status >= 400) {
    // A refusal that brings its own words (a piece, or a page for somebody who followed a link) is shown as it is.
    const told = whole ? visit && requestConfig.verb === "get" : xhr.status < 500 && xhr.responseText.trim() !== "";
    if (told) { detail.shouldSwap = true; detail.isError = false; }
  } else if (whole && detail.target !== document.body) {
    // A page where a piece was asked for: the session has ended. Asked for as a page, this one comes back after the login.
    detail.shouldSwap = false;
    location.reload();
  }
});

/* --- After a swap ---------------------------------------------------------------------------------------------- */

const busy = (scope) => Boolean(scope.querySelector(":popover-open") || document.querySelector("dialog:modal"));
let before = null;
document.addEventListener("htmx:beforeRequest", (event) => {
  // A list that refreshes by itself must not take away the menu or the dialog that somebody has just opened.
  const { target, requestConfig } = event.detail;
  if (!requestConfig?.triggeringEvent && requestConfig?.verb === "get" && target?.matches("[data-list]") && busy(target)) event.preventDefault();
});
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  before = {
    focus: detail.target.contains(document.activeElement) && document.activeElement !== document.body,
    scrolls: new Map(live("[data-list] .scroll").map((box) => [box.closest("[data-list]").dataset.list, box.scrollLeft])),
  };
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  const visit = detail.target === document.body;
  for (const box of live("[data-list] .scroll")) if (!visit) box.scrollLeft = before?.scrolls.get(box.closest("[data-list]").dataset.list) ?? 0;
  const dialog = document.querySelector("#dialog > dialog[data-modal]:not(:modal)");
  if (dialog) open(dialog);
  live("form[data-list]").forEach((list) => show(list, true));
  tick();
  if (visit) {
    // As after a full load: at the top, with a screen reader at the title and the messages read out.
    scrollTo(0, 0);
    const title = document.querySelector("h1");
    title?.setAttribute("tabindex", "-1");
    title?.focus({ preventScroll: true });
    const messages = document.getElementById("messages");
    setTimeout(() => messages?.append(...messages.childNodes), 100);
  }
});
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  if (before?.focus && detail.target !== document.body && (!document.activeElement || document.activeElement === document.body)) document.querySelector("[data-list]")?.focus({ preventScroll: true });
  before = null;
});

/* --- Theme, navigation, search, copying -------------------------------------------------------------------------- */

const keep = (name, value) => { document.cookie = `${name}=${encodeURIComponent(value)}; Path=/; Max-Age=31536000; SameSite=Lax${location.protocol === "https:" ? "; Secure" : ""}`; };

// A quiet form changes something about the page that can be done here at once; the server only has to remember it.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-quiet]");
  if (!form) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const choice = event.submitter;
  if (choice?.name === "theme") root.dataset.theme = choice.value;
  form.closest(":popover-open")?.hidePopover();
  fetch(form.action, { method: "POST", body: new FormData(form, choice), redirect: "manual" }).catch(() => toast("error", words().offline));
  form.closest(".tip")?.remove();
}, true);

on("click", "[data-fold]", () => {
  root.dataset.nav = root.dataset.nav === "mini" ? "" : "mini";
  keep("nav", root.dataset.nav);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog, [contenteditable]")) return;
  event.preventDefault();
  document.getElementById("find")?.focus();
});
on("click", "[data-copy]", async (button) => {
  try { await navigator.clipboard.writeText(button.dataset.copy); }
  catch { // Plain http has no clipboard.
    const field = Object.assign(document.createElement("textarea"), { value: button.dataset.copy });
    button.after(field); field.select(); document.execCommand("copy"); field.remove(); button.focus();
  }
  const { title } = button, picture = button.querySelector("use"), href = picture?.getAttribute("href");
  button.dataset.copied = ""; button.title = words().copied; picture?.setAttribute("href", `${words().icons}#tick`);
  setTimeout(() => { delete button.dataset.copied; button.title = title; if (href) picture.setAttribute("href", href); }, 1500);
});

// Where a browser cannot anchor a popover to its button, it is put there by hand.
if (!CSS.supports("position-area", "bottom span-left")) {
  document.addEventListener("toggle", ({ target, newState }) => {
    if (newState !== "open" || !target.matches(".menu")) return;
    const at = document.querySelector(`[popovertarget="${target.id}"]`).getBoundingClientRect();
    const top = at.bottom + 4 + target.offsetHeight > innerHeight ? at.top - 4 - target.offsetHeight : at.bottom + 4;
    Object.assign(target.style, { inset: "auto", top: `${Math.max(4, top)}px`, left: `${Math.max(4, Math.min(at.right - target.offsetWidth, innerWidth - target.offsetWidth - 4))}px` });
  }, true);
}

// The server shows moments in the reader's own time zone from the next page on.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.split("; ").includes(`tz=${encodeURIComponent(zone)}`)) keep("tz", zone);

live("form[data-list]").forEach((list) => show(list, true));
tick();
