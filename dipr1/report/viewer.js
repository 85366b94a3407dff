// The page's viewer: one image at a time, a panel per chosen arm, layers drawn over the picture.
// It reads what dipr1/report/viewer.py wrote into the page and loads nothing.
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);
  const root = byId("viewer");
  const data = JSON.parse(byId("viewer-data").textContent);
  const { arms, images, nouns, kinds } = data;
  const LAYERS = [...root.querySelectorAll("[data-layer]")].map((input) => input.dataset.layer);
  const MOST_ZOOM = 16;

  const state = {
    list: [], // indices into images, filtered and sorted
    at: 0, // position in the list
    arms: data.opens || data.pair, // indices of the arms side by side
    arm: (data.opens || data.pair).slice(-1)[0], // chosen last: what "worst" refers to
    view: null, // zoomed part of the image {x, y, w, h}; null is the whole
  };

  // --- small things ------------------------------------------------------------------------------

  const picture = (index) => byId("picture-" + index).textContent;
  const current = () => images[state.list[state.at]];
  const percent = (share) => Math.round(100 * share) + " %";
  const count = (number, one, many) => number + " " + (number === 1 ? one : many);

  function make(name, attributes = {}, ...children) {
    const isSvg = ["svg", "g", "rect", "image", "text"].includes(name);
    const element = isSvg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  // --- the second look, on pages whose arms looked again --------------------------------------------

  const second = typeof secondLook === "undefined" ? null
    : secondLook({ data, make, drawMark, point, picture, redraw });

  function redraw() {
    const { view } = state;
    if (!current()) return;
    show();
    setView(view);
  }

  // --- which images, in which order --------------------------------------------------------------

  const errors = (image) => {
    const answer = image.answers[state.arm];
    return answer.false + answer.missed.length;
  };
  const gap = (image) => {
    const [first, last] = [data.pair[0], data.pair[data.pair.length - 1]];
    return Math.abs(image.answers[last].quality - image.answers[first].quality);
  };
  const rank = (image) => Math.min(Infinity, ...image.suspects.map((suspect) => suspect.rank));

  const ORDERS = {
    worst: (a, b) =>
      a.answers[state.arm].quality - b.answers[state.arm].quality || errors(b) - errors(a),
    best: (a, b) => -ORDERS.worst(a, b),
    uncertain: (a, b) => b.uncertainty - a.uncertainty,
    differ: (a, b) => gap(b) - gap(a),
    suspect: (a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)),
    again: (a, b) => second.numFound(b, state.arm) - second.numFound(a, state.arm),
    crowded: (a, b) => b.people.length - a.people.length,
    file: () => 0,
  };

  function wanted(image) {
    const set = byId("viewer-set").value;
    const why = byId("viewer-filter").value;
    if (set && image.set !== set) return false;
    if (why === "suspect") return image.suspects.length > 0;
    if (why === "unreadable") return !image.answers[state.arm].readable;
    return !why || image.why.includes(why);
  }

  function relist(keep) {
    const kept = keep ? state.list[state.at] : undefined;
    const order = ORDERS[byId("viewer-order").value];
    state.list = images.map((_, index) => index).filter((index) => wanted(images[index]));
    state.list.sort((a, b) => order(images[a], images[b]) || a - b);
    state.at = Math.max(0, state.list.indexOf(kept));
    drawStrip();
    show();
  }

  // --- one panel ---------------------------------------------------------------------------------

  const drawable = (box) => box.slice(0, 4).every((side) => side !== null)
    && box[2] > box[0] && box[3] > box[1];

  // Everything that can be drawn over an image: {layer, box, words}, the lowest first.
  function marks(image, answer) {
    const all = [];
    const add = (layer, box, words, style, of) => all.push({ layer, box, words, style, of });
    for (const box of image.ignore) add("ignore", box, "Ignore area: boxes in here do not count");
    for (const box of image.regions) {
      const [, , , , u, support, phantom] = box;
      const what = phantom ? "Uncertain region, nothing annotated" : "Uncertain region";
      const words = `${what}: found in ${percent(support)} of the base's samples, u = ${u.toFixed(2)}`;
      add("uncertain", box, words, "--strength:" + u);
    }
    for (const box of answer.looks) add("look", box, "Look region");
    image.people.forEach((box, index) => {
      const seen = box[4] === null ? "" : `, ${percent(box[4])} visible`;
      const name = box[5] || nouns.one;
      add("truth", box, `Annotated ${name}${seen}`);
      if (answer.missed.includes(index)) add("missed", box, `Missed ${name}${seen}`);
    });
    for (const box of answer.boxes) {
      const [, , , , kind, overlap, likelihood, seen] = box;
      const layer = ["hit", "false", "skipped"][kind];
      const what = ["Right box", "False box", "Box in an ignore area, not counted"][kind];
      const sure = likelihood === null ? "" : `, likelihood ${likelihood.toFixed(2)}`;
      const view = seen ? `, ${seen.words}` : "";
      add(layer, box, `${what}: overlap ${overlap.toFixed(2)}${sure}${view}`, "", seen?.of);
    }
    for (const suspect of image.suspects) {
      const words = `Suspicious label, ${kinds[suspect.kind]} (score ${suspect.score.toFixed(2)})`;
      add("suspect", suspect.box, words);
      if (suspect.suggested) add("suspect", suspect.suggested, words + ": suggested box", "--suggested:1");
    }
    return all.filter((mark) => drawable(mark.box));
  }

  function drawMark(mark) {
    const [x, y, right, bottom] = mark.box;
    const place = { x, y, width: right - x, height: bottom - y };
    const group = make("g", { class: mark.of ? `${mark.layer} of-${mark.of}` : mark.layer },
      make("rect", { ...place, class: "halo" }), make("rect", { ...place, class: "line" }));
    if (mark.tag) group.append(make("text", { x, y, dx: ".3em", dy: "1em",
      style: `font-size:${current().width / 26}px` }, mark.tag));
    if (mark.style) group.setAttribute("style", mark.style);
    mark.element = group;
    return group;
  }

  function verdict(image, answer) {
    if (!answer.readable && !answer.boxes.length) return "the answer cannot be read";
    const people = image.people.length;
    const found = people ? `found ${answer.hits} of ${people}` : "nothing to find";
    return `${found}${second ? second.verdict(answer) : ""}, ${answer.false} false`;
  }

  function panel(image, index, arm) {
    const answer = image.answers[arm];
    const svg = make("svg", { class: "picture", role: "img",
      "aria-label": `Image ${image.id}, answer of ${arms[arm]}` });
    const whole = { width: image.width, height: image.height };
    svg.append(make("image", { ...whole, href: picture(index), preserveAspectRatio: "none" }));
    svg.marks = marks(image, second ? second.known(answer) : answer);
    if (second) svg.marks.unshift(...second.windows(answer), ...second.finds(image, answer));
    svg.append(...svg.marks.map(drawMark));
    watch(svg);
    const text = make("details", {}, make("summary", {}, "What it wrote"),
      make("pre", { tabindex: 0 }, answer.text + (second ? second.texts(answer) : "")));
    const caption = make("figcaption", {}, make("span", { class: "dot fill" + (arm % data.numColours) }),
      make("b", {}, arms[arm]), " ", verdict(image, second ? second.known(answer) : answer));
    const crops = second ? second.crops(image, index, answer, marks) : [];
    if (!crops.length) return make("figure", { class: "panel" }, caption, svg, text);
    const both = make("div", { class: "both" }, svg, ...crops);
    return make("figure", { class: "panel looked" }, caption, both, text);
  }

  // --- pointing, zooming, panning ----------------------------------------------------------------

  function pointOf(svg, event) {
    const point = new DOMPoint(event.clientX, event.clientY);
    return point.matrixTransform(svg.getScreenCTM().inverse());
  }

  // Boxes of a crowd overlap: the smallest one under the pointer is meant.
  function under(svg, { x, y }) {
    const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
    return svg.marks
      .filter(({ box }) => x >= box[0] && x <= box[2] && y >= box[1] && y <= box[3])
      .filter(({ layer }) => !byId("stages").classList.contains("hide-" + layer))
      .sort((a, b) => area(a) - area(b))[0];
  }

  function point(svg, event) {
    const mark = under(svg, pointOf(svg, event));
    for (const { element } of svg.marks) element.classList.toggle("on", element === mark?.element);
    byId("viewer-info").textContent = mark ? mark.words : "";
  }

  function watch(svg) {
    let drag = null;
    svg.addEventListener("pointerdown", (event) => {
      point(svg, event);
      if (!state.view || event.button) return;
      drag = pointOf(svg, event);
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointermove", (event) => {
      if (!drag) return point(svg, event);
      const now = pointOf(svg, event);
      setView({ ...state.view, x: state.view.x + drag.x - now.x, y: state.view.y + drag.y - now.y });
    });
    for (const end of ["pointerup", "pointercancel"])
      svg.addEventListener(end, () => (drag = null));
    svg.addEventListener("dblclick", (event) => zoom(event.shiftKey ? 0.5 : 2, pointOf(svg, event)));
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // else the page could not be scrolled
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1.25 : 0.8, pointOf(svg, event));
    }, { passive: false });
  }

  function setView(view) {
    const { width, height } = current();
    if (view) {
      view.x = Math.min(Math.max(0, view.x), width - view.w);
      view.y = Math.min(Math.max(0, view.y), height - view.h);
    }
    state.view = view;
    const { x, y, w, h } = view || { x: 0, y: 0, w: width, h: height };
    for (const svg of byId("stages").querySelectorAll("svg.picture"))
      svg.setAttribute("viewBox", `${x} ${y} ${w} ${h}`);
    byId("stages").classList.toggle("zoomed", Boolean(view));
  }

  function zoom(factor, at) {
    const { width, height } = current();
    const view = state.view || { x: 0, y: 0, w: width, h: height };
    const w = Math.max(view.w / factor, width / MOST_ZOOM);
    if (w >= width) return setView(null);
    const h = (w * height) / width;
    const { x, y } = at || { x: view.x + view.w / 2, y: view.y + view.h / 2 };
    const [left, top] = [(x - view.x) / view.w, (y - view.y) / view.h];
    setView({ x: x - left * w, y: y - top * h, w, h });
  }

  // --- the strip of thumbnails -------------------------------------------------------------------

  // A picture is decoded when its thumbnail comes into sight, not before.
  const sight = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      target.src = picture(target.dataset.index);
      sight.unobserve(target);
    }
  }, { rootMargin: "300px" });

  function thumbnail(index, position) {
    const image = images[index];
    const answer = image.answers[state.arm];
    const img = make("img", { alt: "", "data-index": index, decoding: "async" });
    sight.observe(img);
    const bar = make("span", { class: "quality" }, make("span", { style: `width:${100 * answer.quality}%` }));
    const button = make("button", { type: "button", "aria-label": `Image ${image.id}: ${verdict(image, answer)}` }, img, bar);
    button.addEventListener("click", () => step(position - state.at));
    return make("li", {}, button);
  }

  function drawStrip() {
    sight.disconnect();
    byId("viewer-strip").replaceChildren(...state.list.map(thumbnail));
  }

  function markStrip() {
    const strip = byId("viewer-strip");
    [...strip.children].forEach((item, position) => {
      item.firstChild.setAttribute("aria-current", position === state.at);
    });
    const item = strip.children[state.at];
    // scrollIntoView would move the page too
    if (item) strip.scrollLeft = item.offsetLeft - (strip.clientWidth - item.clientWidth) / 2;
  }

  // --- showing -----------------------------------------------------------------------------------

  const WHY = {
    worst: "worst answers", uncertain: "most uncertain", differ: "arms differ",
    suspect: "label suspects", again: "found by the second look", random: "random sample",
  };

  function show() {
    const image = current();
    const stages = byId("stages");
    byId("viewer-info").textContent = "";
    byId("viewer-empty").hidden = Boolean(image);
    for (const id of ["viewer-back", "viewer-next"]) byId(id).disabled = state.list.length < 2;
    if (!image) {
      stages.replaceChildren();
      byId("viewer-where").textContent = "0 images";
      return;
    }
    second?.sync(state.arms.map((arm) => image.answers[arm]));
    const opened = stages.querySelector("details")?.open;
    stages.replaceChildren(...state.arms.map((arm) => panel(image, state.list[state.at], arm)));
    if (opened) for (const text of stages.querySelectorAll("details")) text.open = true;
    stages.dataset.image = image.id;
    setView(null);
    byId("viewer-where").textContent = `${state.at + 1} of ${state.list.length}`;
    byId("viewer-what").textContent = [
      `image ${image.id}`, image.set, count(image.people.length, nouns.one, nouns.many),
      image.suspects.length ? count(image.suspects.length, "suspicious label", "suspicious labels") : "",
      image.why.length ? "chosen for: " + image.why.map((name) => WHY[name]).join(", ") : "",
    ].filter(Boolean).join(" · ");
    markStrip();
  }

  function step(by) {
    const { length } = state.list;
    if (!length) return;
    state.at = (((state.at + by) % length) + length) % length;
    show();
  }

  function setLayer(layer, on) {
    for (const input of root.querySelectorAll(`[data-layer="${layer}"]`)) input.checked = on;
    byId("stages").classList.toggle("hide-" + layer, !on);
    // a box in an ignore area says nothing without the area
    if (layer === "ignore") byId("stages").classList.toggle("hide-skipped", !on);
  }

  const isOn = (layer) => root.querySelector(`[data-layer="${layer}"]`)?.checked;

  function setArms(chosen, last) {
    if (!chosen.length) return syncArms(); // one panel stays
    state.arms = [...chosen].sort((a, b) => a - b);
    state.arm = chosen.includes(last) ? last : state.arms[state.arms.length - 1];
    syncArms();
    relist(true);
  }

  function syncArms() {
    for (const input of root.querySelectorAll("[data-arm]"))
      input.checked = state.arms.includes(Number(input.dataset.arm));
  }

  const toggled = (arm) =>
    state.arms.includes(arm) ? state.arms.filter((other) => other !== arm) : [...state.arms, arm];

  function open(index) {
    byId("viewer-set").value = images[index].set;
    byId("viewer-filter").value = "";
    relist(false);
    state.at = state.list.indexOf(index);
    setLayer("suspect", true);
    show();
    root.scrollIntoView();
  }

  // --- keys --------------------------------------------------------------------------------------

  const KEYS = {
    ArrowRight: () => step(1), j: () => step(1), ArrowLeft: () => step(-1), k: () => step(-1),
    Home: () => step(-state.at), End: () => step(state.list.length - 1 - state.at),
    "+": () => current() && zoom(1.5), "=": () => current() && zoom(1.5),
    "-": () => current() && zoom(1 / 1.5), 0: () => current() && setView(null),
    o: () => byId("stages").querySelectorAll("details").forEach((text) => (text.open = !text.open)),
    a: () => {
      const none = !LAYERS.some(isOn);
      for (const layer of LAYERS) setLayer(layer, none);
    },
  };
  Object.assign(KEYS, second?.keys);
  for (const input of root.querySelectorAll("[data-layer]"))
    KEYS[input.dataset.key] = () => setLayer(input.dataset.layer, !input.checked);

  // elsewhere on the page the arrows belong to the page
  new IntersectionObserver(([entry]) => {
    root.dataset.keys = entry.isIntersecting ? "on" : "off";
  }).observe(root);

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || byId("viewer-help").open) return;
    if (event.target.closest?.("select, textarea, input:not([type=checkbox]), pre, .scroll")) return;
    if (event.key === "?") return byId("viewer-help").showModal();
    if (root.dataset.keys !== "on") return;
    const arm = /^Digit([1-9])$/.exec(event.code || "");
    if (arm && arms[arm[1] - 1] !== undefined) {
      const index = arm[1] - 1;
      setArms(event.shiftKey ? toggled(index) : [index], index);
    } else if (KEYS[event.key]) {
      KEYS[event.key]();
    } else return;
    event.preventDefault();
  }

  // --- start -------------------------------------------------------------------------------------

  for (const id of ["viewer-set", "viewer-order"])
    byId(id).addEventListener("change", () => relist(false));
  byId("viewer-filter").addEventListener("change", (event) => {
    if (event.target.value === "suspect") {
      byId("viewer-order").value = "suspect";
      setLayer("suspect", true);
    } else if (event.target.value in ORDERS) byId("viewer-order").value = event.target.value;
    relist(false);
  });
  byId("viewer-back").addEventListener("click", () => step(-1));
  byId("viewer-next").addEventListener("click", () => step(1));
  byId("viewer-in").addEventListener("click", KEYS["+"]);
  byId("viewer-out").addEventListener("click", KEYS["-"]);
  byId("viewer-whole").addEventListener("click", KEYS[0]);
  byId("viewer-keys").addEventListener("click", () => byId("viewer-help").showModal());
  for (const input of root.querySelectorAll("[data-layer]")) {
    input.addEventListener("change", () => setLayer(input.dataset.layer, input.checked));
    setLayer(input.dataset.layer, input.checked);
  }
  for (const input of root.querySelectorAll("[data-arm]")) {
    const arm = Number(input.dataset.arm);
    input.addEventListener("change", () => setArms(toggled(arm), arm));
  }
  for (const link of document.querySelectorAll("[data-open]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      open(Number(link.dataset.open));
    });
  }
  document.addEventListener("keydown", pressed);
  byId("viewer-off").hidden = true;
  root.hidden = false;
  // on a phone two panels would stand one below the other: begin with one
  if (window.matchMedia("(max-width: 700px)").matches) state.arms = [state.arm];
  syncArms();
  const opening = data.opens && images.find((image) => second.numFound(image, state.arm));
  if (opening) byId("viewer-set").value = opening.set;
  relist(false);
})();
