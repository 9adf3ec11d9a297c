// The reconnect storm: five readers of one answer, what each has read so far, and what it cost.
const READERS = 5; // with the page's own requests, no more than the six connections that a browser opens to one host
const beaconUrl = document.querySelector("script[data-beacon]").dataset.beacon;
const beacon = streamgap.createBeacon({ url: beaconUrl });
const list = document.getElementById("readers");

/** A pane: the name, what became of its connection, and the text as a page would show it. */
function pane(number) {
  const item = document.createElement("li");
  item.innerHTML = "<p><b></b><span></span></p><pre tabindex=0></pre>";
  const name = `Reader ${number}`;
  item.querySelector("b").textContent = name;
  item.querySelector("pre").setAttribute("aria-label", `What reader ${number} reads`);
  list.append(item);
  return item;
}

/** Reads the answer as any page does: it appends what comes. Only the marks know that connections break. */
function read(url, item) {
  return new Promise((resolve) => {
    const [label, text] = [item.querySelector("span"), item.querySelector("pre")];
    let [into, reconnects, restarts, isFresh] = [text, 0, 0, false];
    const say = (state, words = state) => {
      item.dataset.state = state;
      label.textContent = `${reconnects} ${reconnects === 1 ? "reconnect" : "reconnects"} · ${words}`;
    };
    const finish = (state, words) => {
      source.close();
      say(state, words);
      text.scrollTop = 0;
      resolve(state === "whole");
    };
    const source = beacon.watch(new EventSource(beacon.url(url)));
    say("reading");
    source.onopen = () => say("reading");
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) { finish("garbled", "refused"); return; }
      reconnects++;
      isFresh = true;
      say("cut");
    };
    source.onmessage = (event) => {
      // Without ids the server cannot tell where the reader was: what comes is the answer from its beginning.
      if (isFresh && !event.lastEventId && text.textContent) {
        restarts++;
        into = text.appendChild(document.createElement("mark"));
      }
      isFresh = false;
      into.append(JSON.parse(event.data).t);
      text.scrollTop = text.scrollHeight;
    };
    source.addEventListener("sg-reset", () => { text.replaceChildren(); into = text; restarts++; });
    source.addEventListener("done", ({ data }) => {
      const { status = "done" } = JSON.parse(data);
      const isWhole = !restarts && status === "done";
      finish(isWhole ? "whole" : "garbled", isWhole ? "whole" : restarts ? `began ${restarts + 1} ×` : status);
    });
  });
}

/** Sends five readers along one way (`relay` or `plain`), and shows its tally until the last has its end. */
async function storm(way) {
  const side = document.getElementById(way);
  const [verdict, buttons] = [side.querySelector("output"), document.querySelectorAll(".side button")];
  const cid = crypto.randomUUID();
  let isOver = false;
  const count = async () => {
    const tally = await (await fetch(`/demo/storm?cid=${cid}`)).json();
    for (const name of ["connections", "calls"]) side.querySelector(`.${name}`).textContent = tally[name];
  };
  document.querySelectorAll(".side").forEach((other) => other.toggleAttribute("data-on", other === side));
  buttons.forEach((button) => { button.disabled = true; });
  const crowd = document.getElementById("crowd"); // it would take the readers' connections
  if (crowd.getAttribute("aria-pressed") === "true") crowd.click();
  verdict.textContent = "…";
  list.replaceChildren();
  const reading = Array.from({ length: READERS }, (_, i) => read(`/storm/${way}?cid=${cid}&reader=${i + 1}`, pane(i + 1)));
  const counting = (async () => {
    while (!isOver) {
      await count().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  })();
  const whole = (await Promise.all(reading)).filter(Boolean).length;
  isOver = true;
  await counting;
  await count().catch(() => {});
  verdict.className = whole === READERS ? "good" : "bad";
  verdict.textContent = whole ? `${whole} of ${READERS} read the answer whole` : `${READERS} of ${READERS} read it garbled`;
  buttons.forEach((button) => { button.disabled = false; });
}

for (const way of ["relay", "plain"]) {
  document.getElementById(way).querySelector("button").addEventListener("click", () => storm(way));
}
