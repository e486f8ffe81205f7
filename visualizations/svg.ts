/**
 * Charts as SVG for people who would rather look than read: one file without scripts or outside references, legible on light and
 * on dark ground. Every state carries its dotted path in `data-state` and its description as a tooltip.
 */
import type { Diagram } from './diagram.ts';
import { layoutOf, LINE_PX, PAD_PX, TEXT_PX, TITLE_PX } from './layout.ts';
import type { LabelLine, PlacedArrow, PlacedBox } from './layout.ts';

const CORNER_PX = 6;

/** Light first; a viewer that knows nothing of colour schemes shows that. */
export const STYLE = `
text { font-family: ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif; font-size: ${TEXT_PX}px; fill: #24292f }
.ground { fill: #ffffff }
.box { fill: none; stroke: #8c959f; stroke-width: 1.2 }
.root { stroke: none }
.simple { fill: #ddf4ff; stroke: #54aeff }
.final { fill: #eaeef2; stroke: #57606a }
.inner { fill: none; stroke: #57606a; stroke-width: 1.2 }
.title { font-size: ${TITLE_PX}px; font-weight: 600 }
.line { fill: #57606a }
.arrow { fill: none; stroke: #57606a; stroke-width: 1.4 }
.head, .dot { fill: #57606a }
.label { stroke: #ffffff; stroke-width: 4; stroke-linejoin: round; paint-order: stroke }
.guard { fill: #953800 }
.actions { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .ground { fill: #0d1117 }
  .box { stroke: #6e7681 }
  .root { stroke: none }
  .simple { fill: #0c2d6b; stroke: #388bfd }
  .final { fill: #30363d; stroke: #8b949e }
  .inner { stroke: #8b949e }
  .line { fill: #9ea7b3 }
  .arrow { stroke: #9ea7b3 }
  .head, .dot { fill: #9ea7b3 }
  .label { stroke: #0d1117 }
  .guard { fill: #ffa657 }
  .actions { fill: #7ee787 }
}
`.trim();

export async function svgOf(diagram: Diagram): Promise<string> {
  const layout = await layoutOf(diagram);
  const { name, description } = diagram;
  const { width, height } = layout;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
      `role="img" aria-labelledby="title description">`,
    `<title id="title">The ${escape(name)} chart</title>`,
    `<desc id="description">${escape(description)}</desc>`,
    `<!-- Generated from machines/${name}.ts by \`npm run docs\`. -->`,
    `<style>\n${STYLE}\n</style>`,
    `<rect class="ground" width="${width}" height="${height}"/>`,
    ...layout.boxes.map((box) => boxSvg(box, name)),
    ...layout.dots.map(({ x, y, width: size }) => circle(x + size / 2, y + size / 2, size / 2)),
    ...layout.arrows.map(arrowSvg),
    ...layout.arrows.flatMap(labelSvg),
    '</svg>',
    '',
  ].join('\n');
}

export const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** Half pixels are enough, and short numbers make small differences small. */
const px = (value: number): string => String(Math.round(value * 2) / 2);

const circle = (x: number, y: number, radius: number): string =>
  `<circle class="dot" cx="${px(x)}" cy="${px(y)}" r="${px(radius)}"/>`;

function boxSvg({ box, x, y, width, height }: PlacedBox, chart: string): string {
  const rect = (inset: number, kind: string): string =>
    `<rect class="${kind}" x="${px(x + inset)}" y="${px(y + inset)}" width="${px(width - 2 * inset)}" ` +
    `height="${px(height - 2 * inset)}" rx="${CORNER_PX - inset / 2}"/>`;
  const framed = box.boxes.length > 0;
  const kind = box.path === '' ? 'box root' : `box ${box.kind}`;
  const lines = [box.path === '' ? chart : box.name, ...box.lines];
  const top = framed ? y + PAD_PX / 2 : y + (height - lines.length * LINE_PX) / 2;
  const texts = lines.map((text, index) => {
    const baseline = px(top + index * LINE_PX + LINE_PX * 0.75);
    const at = framed ? `x="${px(x + PAD_PX)}"` : `x="${px(x + width / 2)}" text-anchor="middle"`;
    return `<text class="${index === 0 ? 'title' : 'line'}" ${at} y="${baseline}">${escape(text)}</text>`;
  });
  return [
    `<g data-state="${escape(box.path)}">`,
    `<title>${escape(box.description)}</title>`,
    rect(0, kind),
    ...(box.kind === 'final' ? [rect(3, 'inner')] : []),
    ...texts,
    '</g>',
  ].join('\n');
}

type Point = PlacedArrow['points'][number];

/** A line with rounded corners, up to the back of its head. */
function arrowSvg({ points }: PlacedArrow): string {
  const [end, before] = [points.at(-1)!, points.at(-2)!];
  const direction = { x: Math.sign(end.x - before.x), y: Math.sign(end.y - before.y) };
  const back = { x: end.x - direction.x * 7, y: end.y - direction.y * 7 };
  const side = { x: direction.y * 3.5, y: direction.x * 3.5 };
  const corners = points.slice(1, -1).map((corner, index) => {
    const [from, to] = [points[index]!, points[index + 2]!];
    return `L ${at(towards(corner, from))} Q ${at(corner)} ${at(towards(corner, to))}`;
  });
  return [
    `<path class="arrow" d="M ${at(points[0]!)} ${corners.join(' ')} L ${at(back)}"/>`,
    `<path class="head" d="M ${at(end)} L ${px(back.x - side.x)} ${px(back.y - side.y)} ` +
      `L ${px(back.x + side.x)} ${px(back.y + side.y)} Z"/>`,
  ].join('\n');
}

const at = ({ x, y }: Point): string => `${px(x)} ${px(y)}`;

function towards(corner: Point, other: Point): Point {
  const length = Math.hypot(other.x - corner.x, other.y - corner.y) || 1;
  const step = Math.min(CORNER_PX, length / 2) / length;
  return { x: corner.x + (other.x - corner.x) * step, y: corner.y + (other.y - corner.y) * step };
}

function labelSvg({ label }: PlacedArrow): string[] {
  if (label === undefined) return [];
  const { x, y, width, lines, isLeft } = label;
  const end = isLeft ? `text-anchor="end" x="${px(x + width - 4)}"` : `x="${px(x + 4)}"`;
  const part = ({ kind, text }: LabelLine[number]): string => `<tspan class="${kind}">${escape(text)}</tspan>`;
  return lines.map((line, index) => {
    const baseline = px(y + index * LINE_PX + LINE_PX * 0.75);
    return `<text class="label" xml:space="preserve" ${end} y="${baseline}">${line.map(part).join('')}</text>`;
  });
}
