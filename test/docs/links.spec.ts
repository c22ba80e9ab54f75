import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { documents, ROOT } from './snippets.ts';

const OTHERS = ['CHANGELOG.md', 'CONTRIBUTING.md', 'sample-app/README.md', 'test/services/README.md'];
const PAGES = [...documents().map(({ path }) => path), ...OTHERS];

describe('the documentation', () => {
  it.each(PAGES)('links to what is there: %s', (page) => {
    expect(linksOf(page).filter((link) => !isThere(page, link))).toEqual([]);
  });

  it('is linked from the README, every page', () => {
    const targets = linksOf('README.md').map((link) => link.split('#')[0]);
    const pages = documents().map(({ path }) => path);
    expect(pages.filter((page) => page.startsWith('docs/') && !targets.includes(page))).toEqual([]);
  });
});

function linksOf(page: string): string[] {
  const text = withoutCode(read(page));
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

function isThere(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : relative(ROOT, join(ROOT, dirname(page), path));
  if (!existsSync(join(ROOT, target))) return false;
  return anchor === undefined || anchorsOf(target).includes(anchor);
}

/** As GitHub makes them of headings. */
function anchorsOf(page: string): string[] {
  const headings = [...withoutCode(read(page)).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[^]*?^```$/gm, '');
}

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}
