/* What the console does beyond plain HTML, keyed on data- attributes. Every page works without this file:
   here is only what makes it quicker to use. htmx comes first in the page; both are deferred. */

const root = document.documentElement;
const words = () => document.getElementById("words").dataset;
const live = (selector, scope = document) => [...scope.querySelectorAll(selector)];
const heard = (type, act, capture = false) => document.addEventListener(type, act, capture);
const on = (type, selector, act) => heard(type, (event) => {
  const element = event.target.closest?.(selector);
  if (element) act(element, event);
});

/* --- The server's clock ---------------------------------------------------------------------------------
   Deadlines are the server's, and laptops are off by minutes. The page says what time it was when it was
   made; every later answer says so again in a header, which also mends a page taken from a cache. */

const arrived = performance.timeOrigin + (performance.getEntriesByType("navigation")[0]?.responseStart ?? 0);
let offset = Date.parse(root.dataset.now) - arrived || 0;
heard("htmx:afterRequest", ({ detail }) => {
  // An answer takes a while on its way: not worth a correction unless the difference can be seen.
  const difference = Date.parse(detail.xhr?.getResponseHeader("X-Console-Time")) - Date.now();
  if (Math.abs(difference - offset) > 2000) offset = difference;
});

/* --- Countdown: time[data-ends], with a progress element as its next sibling --------------------------------- */

const say = (unit, n) => words()[unit].replace("{n}", n);

/** The same words as the server's template filter, so that the first tick changes nothing but the number. */
function remaining(seconds) {
  const d = Math.floor(seconds / 86400), h = Math.floor(seconds / 3600) % 24;
  const min = Math.floor(seconds / 60) % 60, s = seconds % 60;
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
    const seconds = Math.max(0, Math.floor((Date.parse(element.dateTime) - now) / 1000));
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
// What a page asks for by itself does not keep anybody logged in.
heard("htmx:configRequest", ({ detail }) => {
  if (["due", "hx:poll:trigger"].includes(detail.triggeringEvent?.type)) detail.headers["X-Unattended"] = "1";
});
heard("visibilitychange", tick);

/* --- Selection: a form[data-list] with checkboxes named ids ------------------------------------------------
   Picks outlive paging, sorting and refreshing, but not a change of the filter: what is acted on is never
   more than what was named. Picks that are not on this page go along as hidden inputs. */

const boxesOf = (list) => live("input[name=ids][type=checkbox]", list);
const picksOf = new Map(); // list key → {filter, ids: Set, all, place, shown}

function recall(list) {
  const { list: key } = list.dataset;
  // The scope is the account and region: "all that match" must not come to mean those of another.
  const filter = `${list.elements.scope?.value} ${list.dataset.filter}`;
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
  const boxes = boxesOf(list);
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
  const elsewhere = Object.assign(document.createElement("span"), { hidden: true });
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
    button.ariaDisabled = n || picks.all ? null : "true";
    button.title = n || picks.all ? "" : button.dataset.needsSelection;
  }
  const { filter, all, place } = picks;
  sessionStorage.setItem(`picks:${list.dataset.list}`, JSON.stringify({ filter, all, place, ids: [...picks.ids] }));
}

const hidden = (name, value) => Object.assign(document.createElement("input"), { type: "hidden", name, value });
const listOf = (button) => document.getElementById(button.dataset.for) ?? button.form;
let last = null; // the box ticked before, for shift-click

on("click", "form[data-list] input[name=ids][type=checkbox]", (box, event) => {
  const list = box.form, picks = recall(list), boxes = boxesOf(list);
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
  for (const box of boxesOf(master.form)) picks.ids[master.checked ? "add" : "delete"](box.value);
  show(master.form);
});
on("click", "[data-select-all], [data-clear]", (button) => {
  forget();
  recall(button.form).all = button.matches("[data-select-all]");
  show(button.form);
  focus(button.form); // the button has gone
});
// Another account, another person: their picks mean nothing here.
on("submit", "[data-forget]", () => { picksOf.clear(); sessionStorage.clear(); });
// Before htmx hears of it: a button that is off says why instead of asking the server, and Cancel closes its dialog.
heard("click", (event) => {
  const stop = event.target.closest?.("[aria-disabled=true], dialog:modal [data-close]");
  if (!stop) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (stop.matches("[data-close]")) close();
  else if (stop.dataset.needsSelection) toast("warning", stop.dataset.needsSelection);
}, true);

/* --- Dialogs: what is swapped into #dialog opens; an answer with HX-Trigger: done closes it ------------------ */

const modal = () => document.querySelector("dialog:modal");
const close = () => modal()?.close();
const focus = (element) => element?.focus({ preventScroll: true });
const lost = () => !document.activeElement || document.activeElement === document.body;
let opener = null;
/** Where a person goes on who was at this element. It may stand in a menu that has closed; its row may be gone by now, and then
    the list is the next best place to be. */
function whereabouts(element) {
  if (!element?.isConnected) return document.querySelector("[data-list][tabindex], h1[tabindex], main");
  if (element.checkVisibility()) return element;
  return document.querySelector(`[popovertarget="${element.closest("[popover]")?.id}"]`);
}

function open(dialog) {
  dialog.removeAttribute("open");
  dialog.showModal();
  // What scrolls must be within reach of the keyboard.
  for (const body of live(".body", dialog)) if (body.scrollHeight > body.clientHeight) body.tabIndex = 0;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (lost()) focus(whereabouts(opener));
  });
  live("[data-must-equal]", dialog).forEach(compare);
  // What is wrong comes first, and is not the button that throws all of it away.
  focus(dialog.querySelector("[aria-invalid=true]"));
}
// As a person sees it: what has to be typed is written so, and the server compares the same way.
function asSeen(text) {
  const unseen = /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;
  return text.normalize("NFKC").replace(/\s+/g, " ").replace(unseen, "").normalize("NFKC").replace(/ +/g, " ").trim();
}
function compare(input) {
  input.form.querySelector("footer .main").disabled = asSeen(input.value) !== input.dataset.mustEqual;
}
on("input", "[data-must-equal]", compare);
// As a page of its own there is no list to go back to by a swap: send it as a plain form.
heard("submit", (event) => { if (event.target.closest("main .modal")) event.stopImmediatePropagation(); }, true);
// After the swap that this answer brings: closing removes the element which asked for it.
heard("done", ({ detail }) => setTimeout(() => { close(); forget(detail?.keep); }));

/* --- Messages ------------------------------------------------------------------------------------------------ */

function toast(level, text) {
  const { icons, close: label } = words();
  const box = document.createElement("div");
  box.className = `toast ${level}`;
  const icon = (name) => `<svg class="icon" aria-hidden="true"><use href="${icons}#${name}"/></svg>`;
  box.innerHTML = `${icon(level)}<div></div><button type="button" class="btn icon bare" data-close-toast>${icon("close")}</button>`;
  box.children[1].textContent = text;
  box.children[2].setAttribute("aria-label", label);
  // Under an open dialog a message could be neither read nor closed.
  const form = modal()?.querySelector("form");
  if (!form) {
    document.getElementById("messages")?.replaceChildren(box);
    return keepUndo();
  }
  box.role = "alert";
  form.querySelector(".toast")?.remove();
  form.querySelector("footer").before(box);
}
on("click", "[data-close-toast]", (button) => { undoable.delete(button.closest(".toast")); button.closest(".toast").remove(); });
on("submit", ".toast .undo", (form) => undoable.delete(form.closest(".toast")));

// What can still be undone stays in sight until it is undone, closed or over, whatever is said meanwhile and on whichever page.
const undoable = new Set();
function keepUndo() {
  for (const box of live(".toast[data-expires]")) undoable.add(box);
  for (const box of undoable) {
    if (Date.parse(box.dataset.expires) <= Date.now() + offset) undoable.delete(box);
    else if (!box.isConnected) document.getElementById("messages")?.prepend(box);
  }
}
heard("htmx:oobAfterSwap", keepUndo);
setInterval(() => {
  // Good news leaves by itself, unless somebody is on it; whatever went wrong stays until it is closed.
  for (const box of live(".messages > .toast.success:not(:hover, :focus-within)")) {
    if (box.dataset.expires) continue;
    box.dataset.age = Number(box.dataset.age ?? 0) + 1;
    if (box.dataset.age >= 10) box.remove();
  }
  // What can be undone for a while only: from then on the server refuses it, whoever looks at it.
  for (const box of live(".toast[data-expires]")) {
    if (Date.parse(box.dataset.expires) > Date.now() + offset) continue;
    const here = box.contains(document.activeElement);
    undoable.delete(box);
    box.remove();
    if (here) focus(whereabouts(null));
  }
}, 1000);

/* --- Boxes of a plan: one ticks all below it --------------------------------------------------------------------- */

const linesOf = (form) => live("input[name=lines]", form);
function sum(form) {
  const master = form.querySelector("[data-tick-all]"), boxes = linesOf(form);
  if (!master) return;
  const ticked = boxes.filter((box) => box.checked).length;
  master.checked = ticked > 0 && ticked === boxes.length;
  master.indeterminate = ticked > 0 && ticked < boxes.length;
}
on("change", "[data-tick-all]", ({ form, checked }) => linesOf(form).forEach((box) => { box.checked = checked; }));
on("change", "input[name=lines]", ({ form }) => sum(form));

/* --- Requests ----------------------------------------------------------------------------------------------------

   Every one says which account and region this window shows. What would show another is not put into it. */

heard("htmx:configRequest", ({ detail }) => {
  // The link to a dialog says its address once.
  if (detail.elt.matches("a[hx-get='']")) detail.path = detail.elt.getAttribute("href");
  const { scope } = words();
  if (scope) detail.headers["X-Scope"] = scope;
});
// Of two pages asked for shortly after each other the later one is meant, and the address names the one that is shown.
let visit = null;
heard("htmx:beforeSend", ({ detail: { xhr, boosted } }) => {
  if (!boosted) return;
  visit?.abort();
  visit = xhr;
});
addEventListener("popstate", () => visit?.abort());
// What a form still asks for by itself must not lead away from where it is being sent to.
on("submit", "form[hx-boost=false][hx-get]", (form) => htmx.trigger(form, "htmx:abort"));
// An address says what is chosen, and not what could be; only of the region "all" is a choice as well.
heard("htmx:configRequest", ({ detail: { verb, formData } }) => {
  if (verb === "get") for (const [name, value] of [...formData]) if (value === "" && name !== "region") formData.delete(name);
});
/** An answer can come when who asked has left the page: a list was refreshed, a dialog was made anew. htmx tells that element
    alone, whom nobody hears any more. What was asked for a place that is gone as well is dropped, or it would name its page. */
heard("htmx:beforeSend", ({ detail: { xhr, elt, target, requestConfig } }) => {
  const answer = xhr.onload;
  xhr.onload = () => {
    if (elt.isConnected) return answer.call(xhr);
    if (requestConfig.verb === "get" && !target.isConnected) {
      // As if nothing were in it: htmx still ends what it has begun, and the bar on top comes to rest.
      Object.defineProperties(xhr, { status: { value: 204 }, getAllResponseHeaders: { value: () => "" } });
      return answer.call(xhr);
    }
    elt.hidden = true;
    document.body.append(elt);
    answer.call(xhr);
    return elt.remove();
  };
});
heard("htmx:sendError", () => toast("error", words().offline));
heard("htmx:timeout", () => toast("error", words().offline));
heard("htmx:responseError", ({ detail: { xhr } }) => {
  const known = { 403: words().forbidden, 503: words().busy };
  toast("error", known[xhr.status] ?? words().failed.replace("{n}", xhr.status));
});
/** Whether the element takes only a part of the page, and the page has it. */
function picksOut(element, text) {
  const id = element?.getAttribute("hx-select")?.slice(1);
  return Boolean(id) && text.includes(`id="${id}"`);
}
heard("htmx:beforeSwap", ({ detail }) => {
  const { xhr, boosted, requestConfig } = detail;
  const whole = /<html[\s>]/i.test(xhr.responseText.slice(0, 2000));
  if (xhr.status >= 400) {
    // A refusal that brings its own words (a piece, or a page for somebody who followed a link) is shown as it is.
    const told = whole ? boosted && requestConfig.verb === "get" : xhr.status < 500 && xhr.responseText.trim() !== "";
    if (told) Object.assign(detail, { shouldSwap: true, isError: false });
  } else if (whole && detail.target !== document.body && !picksOut(requestConfig.elt, xhr.responseText)) {
    // A page where a piece was asked for: the session has ended. Asked for as a page, this one comes back after the login.
    detail.shouldSwap = false;
    location.reload();
  }
});

/* --- After a swap ---------------------------------------------------------------------------------------------- */

// Busy is also who has asked for a menu that is still on its way.
const busy = (scope) => Boolean(scope.querySelector(":popover-open, [aria-haspopup].htmx-request") || modal());
let before = { focus: false, scrolls: [] };

heard("htmx:beforeRequest", (event) => {
  const { target, elt, requestConfig } = event.detail;
  if (target?.id === "dialog" && !modal()) opener = elt;
  // A list that refreshes by itself must not take away the menu or the dialog that somebody has just opened.
  if (!requestConfig.triggeringEvent && target?.matches("[data-list]") && busy(target)) event.preventDefault();
});
heard("htmx:beforeSwap", ({ detail }) => {
  before = {
    focus: detail.target.contains(document.activeElement) && !lost(),
    scrolls: live("[data-list] .scroll").map((box) => box.scrollLeft),
  };
});
/** The menu of a row comes when it is asked for, closed, with its button in place of the link that asked. */
function unfold(button) {
  if (!button) return;
  button.removeAttribute("data-open");
  if (modal()) return;
  focus(button);
  button.click();
}
heard("htmx:afterSwap", ({ detail }) => {
  const visit = detail.target === document.body;
  if (!visit) live("[data-list] .scroll").forEach((box, i) => { box.scrollLeft = before.scrolls[i] ?? 0; });
  live("form[data-list]").forEach((list) => show(list, true));
  live("form[data-ticks]").forEach(sum);
  tick();
  if (visit) {
    // As after a full load: at the top, with a screen reader at the title and the messages read out.
    scrollTo(0, 0);
    const title = document.querySelector("h1");
    title?.setAttribute("tabindex", "-1");
    focus(title);
    const messages = document.getElementById("messages");
    setTimeout(() => messages?.append(...messages.childNodes), 100);
  }
  keepUndo();
});
heard("htmx:afterSettle", ({ detail }) => {
  // Only now does htmx know what is in them: a link or a button used before would load a whole page.
  const dialog = document.querySelector("#dialog > dialog[data-modal]:not(:modal)");
  if (dialog) open(dialog);
  unfold(document.querySelector("[data-open]"));
  if (before.focus && detail.target !== document.body && lost()) focus(whereabouts(null));
});
// A choice that was taken closes the menu it was made in.
heard("htmx:afterRequest", ({ detail: { elt, successful } }) => {
  if (successful && elt.matches("form")) elt.closest(":popover-open")?.hidePopover();
});

/* --- History: htmx puts a page back, the browser only scrolls by itself after a whole load --------------------- */

let place = location.href; // of the page that is shown
const leave = () => sessionStorage.setItem(`scroll:${place}`, scrollY);
heard("htmx:pushedIntoHistory", () => { leave(); place = location.href; });
addEventListener("popstate", leave);
heard("htmx:historyRestore", () => {
  place = location.href;
  scrollTo(0, Number(sessionStorage.getItem(`scroll:${place}`)));
  keepUndo();
});
// A restored page that is none any more: as the browser shows it, not the one that was left under its address.
heard("htmx:historyCacheMissLoadError", () => location.reload());
// Taken out of the browser's memory as it was left: time has gone on since.
addEventListener("pageshow", ({ persisted }) => { if (persisted) htmx.trigger(document.body, "changed"); });

// What is cut for want of room says itself whole to who points at it.
on("mouseover", ".list :is(.id, small)", (element) => {
  if (!element.title && element.scrollWidth > element.clientWidth) element.title = element.textContent.trim();
});

/* --- Theme, navigation, search, copying -------------------------------------------------------------------------- */

function keep(name, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${encodeURIComponent(value)}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

// A quiet form changes something about the page that can be done here at once; the server only has to remember it.
heard("submit", (event) => {
  const form = event.target.closest("form[data-quiet]");
  if (!form) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const choice = event.submitter;
  if (choice?.name === "theme") root.dataset.theme = choice.value;
  form.closest(":popover-open")?.hidePopover();
  // Not as multipart: the console takes no files.
  const body = new URLSearchParams(new FormData(form, choice));
  fetch(form.action, { method: "POST", body, redirect: "manual" })
    .catch(() => toast("error", words().offline));
  form.closest(".tip")?.remove();
}, true);

on("click", "[data-fold]", () => {
  root.dataset.nav = root.dataset.nav === "mini" ? "" : "mini";
  keep("nav", root.dataset.nav);
});
heard("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, dialog")) return;
  event.preventDefault();
  document.getElementById("find")?.focus();
});
// Without a text of its own, it copies what stands before it.
on("click", "[data-copy]", async (button) => {
  const text = button.dataset.copy || button.previousElementSibling.textContent;
  try { await navigator.clipboard.writeText(text); }
  catch { // Plain http has no clipboard.
    const field = Object.assign(document.createElement("textarea"), { value: text });
    button.after(field); field.select(); document.execCommand("copy"); field.remove(); button.focus();
  }
  const picture = button.querySelector("use"), href = picture.getAttribute("href");
  button.dataset.copied = "";
  picture.setAttribute("href", `${words().icons}#tick`);
  setTimeout(() => { delete button.dataset.copied; picture.setAttribute("href", href); }, 1500);
});

// The server shows moments in the reader's own time zone from the next page on.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.split("; ").includes(`tz=${encodeURIComponent(zone)}`)) keep("tz", zone);

live("form[data-list]").forEach((list) => show(list, true));
live("form[data-ticks]").forEach(sum);
tick();
