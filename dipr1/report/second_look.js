// The second look of the page's viewer: steps from the first view by looks, windows and crops to the
// answer. Only pages with an arm that looked again have it, before viewer.js, which hands it tools.
"use strict";

const secondLook = ({ data, make, drawMark, point, picture, redraw }) => {
  const bar = document.getElementById("second-look");
  const buttons = [...bar.querySelectorAll("[data-step]")];
  const [FIRST, LOOKS, CROPS, ANSWER] = [0, 1, 2, 3];
  const OF = ["kept", "denied", "confirmed", "new"]; // a box's state, as second_look.py numbers it
  const WORDS = {
    kept: "of the first view",
    denied: "of the first view, denied: no window that shows it confirms it, so its score fell",
    confirmed: "of the first view, confirmed and replaced by window",
    new: "found in window",
  };
  let step = ANSWER;

  // --- what a step shows ---------------------------------------------------------------------------

  const whose = (again, row) => {
    const of = OF[again.state[row]];
    return { of, words: again.view[row] ? `${WORDS[of]} ${again.view[row]}` : WORDS[of] };
  };

  const withViews = (answer) =>
    answer.boxes.map((box, row) => ({ box, seen: whose(answer.again, row), view: answer.again.view[row] }));

  // The answer as far as it is known at this step, in the form of an answer of one view; the last
  // entry of each box says whose it is.
  function known(answer) {
    if (!answer.again) return answer;
    const { first } = answer.again;
    const before = first.boxes.map((box) => [...box, { of: "kept", words: WORDS.kept }]);
    if (step <= LOOKS)
      return { ...answer, ...first, boxes: before, looks: step === LOOKS ? answer.looks : [] };
    const boxes = withViews(answer).filter(({ view }) => view || step === ANSWER)
      .map(({ box, seen }) => [...box, seen]);
    const ofKind = (kind) => boxes.filter((box) => box[4] === kind).length;
    return { ...answer, boxes, missed: step === ANSWER ? answer.missed : [], looks: [],
      hits: ofKind(0), false: ofKind(1) };
  }

  // Marks that an answer of one view does not have, below the others.
  function windows({ again }) {
    if (!again || step === FIRST) return [];
    return again.windows.map((box, at) => ({
      layer: "window", box, words: `Window ${at + 1}: shown enlarged and asked again`, tag: at + 1,
    }));
  }

  function finds(image, { again }) {
    if (!again || step < CROPS) return [];
    return again.found.map((index) => ({
      layer: "found", box: image.people[index],
      words: `Found by the second look: annotated ${image.people[index][5] || data.nouns.one} that the first view has no box for`,
    }));
  }

  // Words about an answer whose boxes are all known.
  function verdict({ again, boxes }) {
    const number = again && boxes.length === again.view.length ? again.found.length : 0;
    return number ? `, ${number} of them by the second look` : "";
  }

  // --- the crops -----------------------------------------------------------------------------------

  const inside = (box, [left, top, right, bottom]) =>
    box[0] < right && box[2] > left && box[1] < bottom && box[3] > top;

  // All are cut from the one picture that is in the page.
  function crop(image, index, answer, marks, number) {
    const window = answer.again.windows[number - 1];
    const [x, y, right, bottom] = window;
    const svg = make("svg", { viewBox: `${x} ${y} ${right - x} ${bottom - y}`, role: "img",
      "aria-label": `Window ${number} of image ${image.id}` });
    svg.append(make("image", { width: image.width, height: image.height, href: picture(index),
      preserveAspectRatio: "none" }));
    const own = withViews(answer).filter(({ view }) => view === number);
    const boxes = own.map(({ box, seen }) => [...box, seen]);
    svg.marks = step < CROPS ? [] : [
      ...finds(image, answer).filter(({ box }) => inside(box, window)),
      ...marks(image, { ...answer, boxes }).filter(({ of }) => of),
    ];
    svg.append(...svg.marks.map(drawMark));
    for (const name of ["pointerdown", "pointermove"])
      svg.addEventListener(name, (event) => point(svg, event));
    const added = own.filter(({ seen }) => seen.of === "new").length;
    const words = step < CROPS ? "" : `: ${own.length - added} confirmed, ${added} new`;
    return make("figure", {}, svg, make("figcaption", {}, make("b", {}, `window ${number}`), words));
  }

  function crops(image, index, answer, marks) {
    if (!answer.again || step === FIRST) return [];
    const all = answer.again.windows.map((_, at) => crop(image, index, answer, marks, at + 1));
    return [make("div", { class: "windows" }, ...all)];
  }

  const texts = ({ again }) =>
    again ? again.texts.map((text, at) => `\n\n--- window ${at + 1} ---\n${text}`).join("") : "";

  // --- stepping ------------------------------------------------------------------------------------

  function to(next) {
    step = Math.min(Math.max(FIRST, next), ANSWER);
    redraw();
  }

  // The steps are there where one of the answers that are shown looked again.
  function sync(answers) {
    bar.hidden = !answers.some((answer) => answer.again);
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", at === step));
  }

  buttons.forEach((button, at) => button.addEventListener("click", () => to(at)));

  const number = (answer) => (answer.again ? answer.again.found.length : 0);
  // How many people the second look found: that of the arm in question, or of any where it took none.
  function numFound(image, arm) {
    if (data.looked.includes(arm)) return number(image.answers[arm]);
    return Math.max(...image.answers.map(number));
  }

  return { known, windows, finds, verdict, crops, texts, sync, numFound,
    keys: { n: () => to(step + 1), p: () => to(step - 1) } };
};
