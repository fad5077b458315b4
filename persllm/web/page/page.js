"use strict";
// The page of one run. State is small: the words, the persons, the mode with its choices, and the table in progress.
// Whatever comes from a model or a user is put in as text, never as markup.

const state = { words: {}, language: "en", persons: [], mode: "stages", person: 0, stage: {}, picked: new Set(), takers: [], blind: true, table: null, busy: false };
const MODES = ["stages", "persons", "compare"];
const MOST = 6;
const $ = (id) => document.getElementById(id);
const say = (name, fill = {}) => Object.entries(fill).reduce((text, [key, value]) => text.replace(`{${key}}`, value), state.words[state.language][name] || name);

function make(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  const { on = {}, aria = {}, ...rest } = options;
  Object.assign(node, rest);
  Object.entries(on).forEach(([name, work]) => node.addEventListener(name, work));
  Object.entries(aria).forEach(([name, value]) => node.setAttribute(name, value));
  node.append(...children);
  return node;
}

async function call(path, body) {
  const options = body ? { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) } : {};
  const answer = await fetch(path, options).catch(() => { throw new Error(say("lost")); });
  if (!answer.ok) throw new Error(((await answer.json().catch(() => ({}))).error || {}).message || say("lost"));
  return answer;
}

function problem(text) {
  $("problem").hidden = !text;
  $("problem").textContent = text || "";
}

// What can be chosen -------------------------------------------------------------------------------------

const person = () => state.persons[state.person];
const stageOf = (who) => state.stage[who.id] ?? who.stages.length - 1;
const takerName = (taker) => (/^v\d+$/.test(taker) ? `${say("taker_version")} ${taker.slice(1)}` : say(`taker_${taker}`));

function wantedSeats() {
  const who = person();
  if (state.mode === "stages") return who.stages.slice(0, MOST).map((stage) => ({ persona: who.id, stage: stage.id }));
  if (state.mode === "persons") return state.persons.filter((one) => state.picked.has(one.id)).map((one) => ({ persona: one.id, stage: one.stages[stageOf(one)].id }));
  return state.takers.map((taker) => ({ persona: who.id, stage: who.stages[stageOf(who)].id, taker }));
}

function select(name, options, chosen, work) {
  const list = make("select", { on: { change: (event) => { work(event.target.selectedIndex); fresh(); } } }, ...options.map((text) => make("option", { textContent: text })));
  list.selectedIndex = chosen;
  return make("label", {}, name, list);
}

function choosePerson() {
  return select(say("person"), state.persons.map((one) => one.name), state.person, (place) => { state.person = place; pickTakers(); });
}

function chooseStage(who, name = say("stage")) {
  return select(name, who.stages.map((stage) => `${stage.title} ${stage.years}`.trim()), stageOf(who), (place) => { state.stage[who.id] = place; });
}

function dial() {
  const who = person();
  const turn = (place) => { state.stage[who.id] = place; showChoices(); showDialled(); };
  const range = make("input", { type: "range", min: 0, max: who.stages.length - 1, step: 1, value: stageOf(who), id: "dial", on: { input: (event) => turn(Number(event.target.value)) }, aria: { "aria-label": say("dial"), "aria-valuetext": who.stages[stageOf(who)].title } });
  range.disabled = who.stages.length < 2;
  const ticks = who.stages.map((stage, place) => make("button", { type: "button", textContent: stage.years || stage.title, title: stage.summary, on: { click: () => turn(place) }, aria: { "aria-pressed": String(place === stageOf(who)) } }));
  return make("div", { className: "dial" }, make("div", { textContent: say("dial") }), range, make("div", { className: "ticks" }, ...ticks));
}

function pick(one, wanted) {
  if (wanted && state.picked.size >= MOST) return problem(say("most"));
  if (wanted) state.picked.add(one.id); else state.picked.delete(one.id);
  fresh();
}

function pickTakers() {
  const takers = person().takers;
  const trained = takers.find((name) => !["base", "prompted"].includes(name)) || takers[0];
  state.takers = [trained, takers.includes("prompted") ? "prompted" : takers[takers.length - 1]];
}

function showChoices() {
  const focused = document.activeElement && document.activeElement.id;
  const nodes = [];
  if (state.mode === "stages") nodes.push(choosePerson(), dial());
  if (state.mode === "persons") {
    for (const one of state.persons) {
      const box = make("input", { type: "checkbox", checked: state.picked.has(one.id), on: { change: (event) => pick(one, event.target.checked) } });
      nodes.push(make("div", {}, make("label", { className: "check" }, box, one.name), chooseStage(one, "")));
    }
  }
  if (state.mode === "compare") {
    const takers = person().takers;
    nodes.push(choosePerson(), chooseStage(person()));
    ["left", "right"].forEach((side, place) => nodes.push(select(say(side), takers.map(takerName), takers.indexOf(state.takers[place]), (chosen) => { state.takers[place] = takers[chosen]; })));
    const box = make("input", { type: "checkbox", checked: state.blind, on: { change: (event) => { state.blind = event.target.checked; fresh(); } } });
    nodes.push(make("label", { className: "check" }, box, say("blind")));
  }
  $("choices").replaceChildren(...nodes);
  if (focused === "dial" && $("dial")) $("dial").focus();
}

// The table ----------------------------------------------------------------------------------------------

function fresh() {
  state.table = null;
  problem("");
  showChoices();
  showSeats(wantedSeats().map(expected));
  $("again").disabled = true;
}

// How a seat is named before the server has said who sits there.
function expected(seat, place) {
  if (state.mode === "compare" && state.blind) return { letter: String.fromCharCode(65 + place) };
  const who = state.persons.find((one) => one.id === seat.persona);
  const stage = who.stages.find((one) => one.id === seat.stage);
  return { name: who.name, title: stage.title, years: stage.years, taker: seat.taker || who.takers[0] };
}

function titles(label) {
  const head = label.name ? `${label.name}` : label.letter;
  const time = label.name ? [label.title, label.years].filter(Boolean).join(", ") : "";
  return [head, state.mode === "compare" && label.taker ? [time, takerName(label.taker)].filter(Boolean).join(" · ") : time];
}

function showSeats(labels) {
  $("seats").replaceChildren(...labels.map((label) => {
    const [head, time] = titles(label);
    return make("section", { className: "seat" }, make("h2", { textContent: head }), make("h3", { textContent: time }), make("div", { className: "talk" }));
  }));
  $("reveal").hidden = !(state.table && state.table.blind);
  showDialled();
}

function retitle(labels) {
  [...$("seats").children].forEach((node, place) => {
    const [head, time] = titles(labels[place]);
    node.querySelector("h2").textContent = head;
    node.querySelector("h3").textContent = time;
  });
  $("reveal").hidden = !state.table.blind;
}

function showDialled() {
  $("seats").classList.toggle("dialled", state.mode === "stages");
  [...$("seats").children].forEach((node, place) => node.classList.toggle("chosen", state.mode === "stages" && place === stageOf(person())));
}

async function ask(text, again) {
  if (state.busy) return;
  if (!wantedSeats().length) return problem(say("none_chosen"));
  working(true);
  try {
    if (!state.table) {
      state.table = await (await call("/api/table", { seats: wantedSeats(), blind: state.mode === "compare" && state.blind })).json();
      retitle(state.table.seats);
    }
    const slots = [...$("seats").children].map((node) => newSlot(node, text, again));
    await listen(await call(again ? "/api/again" : "/api/say", again ? { table: state.table.table } : { table: state.table.table, text }), slots);
    $("text").value = "";
  } catch (error) {
    problem(error.message);
    document.querySelectorAll(".waiting").forEach((node) => node.remove());
  } finally {
    working(false);
  }
}

function working(busy) {
  state.busy = busy;
  if (busy) problem("");
  $("send").disabled = busy;
  $("again").disabled = busy || !state.table;
}

function newSlot(node, text, again) {
  const talk = node.querySelector(".talk");
  if (again && talk.lastElementChild) talk.lastElementChild.remove();
  else talk.append(make("p", { className: "mine", textContent: text }));
  const said = make("p", { className: "said waiting", textContent: say("writing") });
  const slot = make("div", {}, said);
  talk.append(slot);
  return { slot, said, text: "" };
}

async function listen(answer, slots) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    parts.filter(Boolean).forEach((line) => heard(JSON.parse(line), slots));
  }
}

function heard(event, slots) {
  if (event.seat === undefined) throw new Error(event.error);
  const place = slots[event.seat];
  if (event.piece !== undefined) {
    place.text += event.piece;
    place.said.textContent = place.text;
    place.said.classList.remove("waiting");
    return;
  }
  place.said.classList.remove("waiting");
  place.said.textContent = event.error ? say("failed") + event.error : (event.text || say("empty")) + (event.cut ? ` ${say("cut")}` : "");
  if (event.thought) place.slot.prepend(make("details", { className: "side" }, make("summary", { textContent: say("thought") }), make("p", { textContent: event.thought })));
  if (event.answer) place.slot.append(actions(event, place.slot));
}

// What can be said of an answer --------------------------------------------------------------------------

function actions(event, slot) {
  const bar = make("div", { className: "acts" });
  const done = make("span", { className: "done", aria: { role: "status" } });
  const judge = async (kind, better = "") => {
    try {
      await call("/api/judge", { table: state.table.table, answer: event.answer, kind, better });
      done.textContent = `✓ ${say("kept")}`;
      return true;
    } catch (error) { problem(error.message); return false; }
  };
  const button = (name, work) => make("button", { type: "button", textContent: say(name), on: { click: work } });
  const press = (kind) => async (click) => {
    if (await judge(kind)) bar.querySelectorAll("[aria-pressed]").forEach((node) => node.setAttribute("aria-pressed", String(node === click.target)));
  };
  const thumbs = ["up", "down"].map((kind) => { const node = button(kind, press(kind)); node.setAttribute("aria-pressed", "false"); return node; });
  bar.append(...thumbs, button("edit", () => edit(event, slot, judge)), button("why", () => why(event, slot)), done);
  if (state.mode === "compare") bar.append(...chooseBetter(event, slot, bar));
  return bar;
}

function chooseBetter(event, slot) {
  slot.dataset.answer = event.answer;
  const place = [...$("seats").children].findIndex((node) => node.contains(slot));
  const letter = state.table.seats[place].letter;
  const work = async () => {
    const row = [...slot.parentElement.children].indexOf(slot);
    const others = [...$("seats").children].map((node) => node.querySelector(".talk").children[row]).filter((node) => node && node !== slot && node.dataset.answer);
    try {
      for (const other of others) await call("/api/judge", { table: state.table.table, answer: other.dataset.answer, kind: "prefer", better: event.answer });
      slot.querySelector(".done").textContent = `✓ ${say("kept")}`;
    } catch (error) { problem(error.message); }
  };
  return [make("button", { type: "button", className: "better", textContent: say("better", { letter }), on: { click: work } })];
}

function edit(event, slot, judge) {
  if (slot.querySelector("textarea")) return;
  const field = make("textarea", { rows: 3, value: event.text, maxLength: 8000, aria: { "aria-label": say("edit_told") } });
  const box = make("div", { className: "side" }, make("p", { textContent: say("edit_told") }), field);
  const keep = async () => { if (field.value.trim() && await judge("edit", field.value.trim())) box.remove(); };
  box.append(make("div", { className: "buttons" },
    make("button", { type: "button", textContent: say("save"), on: { click: keep } }),
    make("button", { type: "button", className: "plain", textContent: say("cancel"), on: { click: () => box.remove() } })));
  slot.append(box);
  field.focus();
}

async function why(event, slot) {
  const before = slot.querySelector(".why");
  if (before) return before.remove();
  try {
    const { passages } = await (await call("/api/nearest", { table: state.table.table, answer: event.answer })).json();
    const box = make("div", { className: "side why" });
    for (const one of passages) {
      box.append(make("p", { className: "place", textContent: `${one.source} · ${one.stage} · ${Math.round(100 * one.likeness)} %` }),
        make("p", { textContent: say("asked_there") + one.question }), make("p", { textContent: one.answer }));
    }
    if (!passages.length) box.append(make("p", { textContent: say("why_none") }));
    slot.append(box);
  } catch (error) { problem(error.message); }
}

// The beginning ------------------------------------------------------------------------------------------

function showWords() {
  document.documentElement.lang = state.language;
  $("label").textContent = say("label");
  $("language").textContent = say("other");
  $("modes").replaceChildren(...MODES.map((mode) => make("button", { type: "button", textContent: say(mode), on: { click: () => { state.mode = mode; showWords(); } }, aria: { role: "tab", "aria-selected": String(mode === state.mode) } })));
  $("asklabel").textContent = say({ stages: "ask", persons: "ask_persons", compare: "ask_compare" }[state.mode]);
  for (const name of ["send", "again", "fresh", "reveal"]) $(name).textContent = say(name);
  fresh();
}

async function start() {
  state.words = await (await fetch("/words.json")).json();
  state.language = navigator.language.startsWith("zh") ? "zh" : "en";
  const found = await (await call("/api/persons")).json();
  state.persons = found.persons;
  $("run").textContent = found.run;
  state.persons.slice(0, 3).forEach((one) => state.picked.add(one.id));
  pickTakers();
  $("language").addEventListener("click", () => { state.language = state.language === "zh" ? "en" : "zh"; showWords(); });
  $("ask").addEventListener("submit", (event) => { event.preventDefault(); ask($("text").value.trim(), false); });
  $("text").addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("ask").requestSubmit(); } });
  $("again").addEventListener("click", () => ask("", true));
  $("fresh").addEventListener("click", fresh);
  $("reveal").addEventListener("click", async () => {
    try {
      state.table = await (await call("/api/reveal", { table: state.table.table })).json();
      retitle(state.table.seats);
    } catch (error) { problem(error.message); }
  });
  showWords();
}

start().catch((error) => problem(error.message));
