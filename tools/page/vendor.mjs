// What the page uses of the libraries; everything else is left out of the bundle.
export { axisX, axisY, dot, gridY, line, plot, pointerX, ruleX, ruleY, text, tip } from "@observablehq/plot";
export { axisBottom, interpolateRgb, interpolateRgbBasis, interpolateViridis, line as path, scaleLinear, select } from "d3";
import dagre from "@dagrejs/dagre";
export const layout = dagre.layout;
export const Graph = dagre.graphlib.Graph;
