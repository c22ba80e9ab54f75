/** Colours that stay apart for most readers, on white and on dark pages alike. */
export const COLOURS = ['#2f6fb3', '#d9822b', '#3a9a5b', '#b04a8b', '#7a6fd0', '#8a8a8a'];
const FONT = 'font-family="system-ui, sans-serif" font-size="12"';

export function svg(width: number, height: number, parts: readonly string[]): string {
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ${FONT}>`;
  return [open, `<rect width="${width}" height="${height}" fill="#fff"/>`, ...parts, '</svg>', ''].join('\n');
}

export function text(
  x: number,
  y: number,
  content: string,
  anchor: 'start' | 'middle' | 'end' = 'start',
): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" fill="#333">${escape(content)}</text>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, colour = '#ddd'): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${colour}"/>`;
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** 1234567 as 1.2 M. */
export function short(value: number): string {
  return Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 }).format(value);
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
