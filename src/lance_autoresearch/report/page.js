"use strict";
// Says in words what lies under the finger or the pointer; without it the hover titles do.
for (const figure of document.querySelectorAll("figure.night")) {
  const says = figure.querySelector("figcaption");
  const silent = says.textContent;
  for (const svg of figure.querySelectorAll("svg")) {
    const marks = [...svg.querySelectorAll("use")];
    const places = marks.map((m) => [+m.getAttribute("x"), +m.getAttribute("y")]);
    let chosen = null;
    const look = (event) => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
      let best = -1, far = 26 * 26;
      places.forEach(([px, py], i) => {
        const d = (px - x) ** 2 + (py - y) ** 2;
        if (d < far) { far = d; best = i; }
      });
      if (chosen) chosen.classList.remove("chosen");
      chosen = best < 0 ? null : marks[best];
      if (chosen) chosen.classList.add("chosen");
      says.textContent = chosen ? chosen.querySelector("title").textContent : silent;
    };
    svg.addEventListener("pointermove", look);
    svg.addEventListener("pointerdown", look);
  }
}
// A link into the table of trials opens it first.
const open = () => {
  const place = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  const fold = place && place.closest("details");
  if (fold) { fold.open = true; place.scrollIntoView({ block: "center" }); }
};
addEventListener("hashchange", open);
open();
