// Puts a chart that can be pointed at and zoomed in place of the picture of scores over time.
"use strict";

for (const place of document.querySelectorAll(".over-time[data-scores]")) {
  const {names, times, scores} = JSON.parse(place.dataset.scores);
  const style = getComputedStyle(document.documentElement);
  const color = name => style.getPropertyValue(name).trim();
  const axis = {stroke: color("--muted"), grid: {stroke: color("--line"), width: 1}, ticks: {show: false}};
  const series = names.map((name, number) => ({
    label: name, stroke: color(`--line-${number}`), width: 2, spanGaps: true, points: {show: true, size: 5},
  }));
  const values = document.querySelectorAll(".legend .at");
  const show = chart => values.forEach((value, number) => {
    value.textContent = scores[number][chart.cursor.idx]?.toFixed(4) ?? "";
  });
  const room = place.clientWidth;
  place.replaceChildren();
  const chart = new uPlot({
    width: room, height: 300, series: [{}, ...series],
    legend: {show: false}, hooks: {setCursor: [show]},
    axes: [axis, {...axis, size: 60}],
    cursor: {focus: {prox: 30}}, focus: {alpha: 0.35},
    tzDate: seconds => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
  }, [times, ...scores], place);
  addEventListener("resize", () => chart.setSize({width: place.clientWidth, height: 300}));
}
