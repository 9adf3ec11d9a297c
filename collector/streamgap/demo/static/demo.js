// The demo page: asks, shows the answer as it comes, and what streamgap made of it.
const beaconUrl = document.querySelector("script[data-beacon]").dataset.beacon;
const $ = (id) => document.getElementById(id);
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
const PATHS = [...document.querySelectorAll("input[name=path]")].map((input) => input.value);
const person = () => streamgap.createBeacon({ url: beaconUrl });
const me = person();
let shownSid = "";

/** Asks once by fetch; calls `onText` with each piece. */
async function askByFetch(beacon, path, onText) {
  const sid = beacon.id();
  const response = await beacon.fetch(`/chat/${path}`, {
    method: "POST",
    headers: { accept: "text/event-stream", "content-type": "application/json", "x-stream-id": sid },
    body: JSON.stringify({}),
  });
  onText("", sid);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      if (event.startsWith("data: ")) onText(JSON.parse(event.slice(6)).t, sid);
    }
  }
}

/** Asks once by EventSource; a broken connection ends it, since a reconnect would be a second generation. */
function askByEventSource(beacon, path, onText) {
  return new Promise((resolve, reject) => {
    const sid = beacon.id();
    const source = beacon.watch(new EventSource(`/chat/${path}?sid=${sid}`));
    onText("", sid);
    source.onmessage = (event) => onText(JSON.parse(event.data).t, sid);
    source.addEventListener("done", () => { source.close(); resolve(); });
    source.onerror = () => { source.close(); reject(new Error("the connection broke")); };
  });
}

function ask(beacon, path, via, onText) {
  return (via === "fetch" ? askByFetch : askByEventSource)(beacon, path, onText);
}

async function askAndShow() {
  $("answer").textContent = "";
  for (const id of ["server", "client", "gap", "verdict"]) $(id).textContent = "…";
  try {
    await ask(me, chosen("path"), chosen("via"), (text, sid) => {
      shownSid = sid;
      $("answer").append(text);
    });
  } catch (error) {
    $("answer").append(`\n[${error.message}]`);
  }
}

const crowd = { people: [], on: false };
async function keepAsking(beacon) {
  while (crowd.on) {
    await ask(beacon, chosen("path"), "fetch", () => {}).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
function toggleCrowd() {
  crowd.on = !crowd.on;
  $("crowd").setAttribute("aria-pressed", String(crowd.on));
  if (!crowd.people.length) crowd.people = Array.from({ length: 5 }, person);
  if (crowd.on) crowd.people.forEach(keepAsking);
}

const seconds = (ms) => (ms == null ? "–" : `${(ms / 1000).toFixed(2)} s`);
function show(state) {
  const result = state.streams[shownSid];
  if (result) {
    $("server").textContent = seconds(result.server_ttfc_ms);
    $("client").textContent = seconds(result.client_ttfc_ms);
    $("gap").textContent = seconds(result.gap_ms);
    $("verdict").textContent = `${seconds(result.hold_ms)} ${result.verdict}`;
    $("verdict").className = result.verdict === "flowing" ? "good" : "bad";
  }
  if (state.alerts.length) {
    $("pager").replaceChildren(...state.alerts.map((alert) => {
      const item = document.createElement("li");
      const name = document.createElement("b");
      name.textContent = `${alert.name}: ${alert.status}`;
      name.className = alert.status === "firing" ? "bad" : "good";
      const text = document.createElement("span");
      text.textContent = alert.summary;
      item.append(name, text);
      return item;
    }));
  }
  if (!$("links").children.length) {
    $("links").replaceChildren(...Object.entries(state.links).filter(([name]) => name !== "beacon").map(([name, href]) => {
      const link = document.createElement("a");
      Object.assign(link, { href, textContent: name, target: "_blank", rel: "noopener" });
      return link;
    }));
  }
}
async function follow() {
  for (;;) {
    try { show(await (await fetch("/demo/state")).json()); } catch { /* the demo was stopped */ }
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
}

/** Drives `count` streams along every path, half of them by EventSource, then says so. */
async function once(count) {
  for (const path of PATHS) {
    const vias = Array.from({ length: count }, (_, i) => (i % 2 ? "eventsource" : "fetch"));
    for (let i = 0; i < count; i += 4) {
      await Promise.allSettled(vias.slice(i, i + 4).map((via) => ask(me, path, via, () => {})));
    }
  }
  document.title = "done";
}

$("ask").addEventListener("click", askAndShow);
$("crowd").addEventListener("click", toggleCrowd);
const count = Number(new URLSearchParams(location.search).get("once"));
if (count) once(count); else follow();
