// The code blocks of a Markdown file, as files of a small project.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');

export interface Snippet {
  readonly language: string;
  /** Where its fence is in the document. */
  readonly line: number;
  /** The first line says so: `// src/main.ts`. Others have a name of their line. */
  readonly path: string;
  readonly code: string;
}

export interface Document {
  /** Relative to the root. */
  readonly path: string;
  readonly text: string;
  readonly snippets: readonly Snippet[];
}

/** Whose code is checked: README.md, those of the packages, and docs/*.md. */
export function documents(): Document[] {
  const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
  const readmes = ['core', 'kafka', 'mikro-orm', 'testing'].map((name) => `packages/${name}/README.md`);
  return ['README.md', ...readmes, ...pages.sort().map((name) => posix.join('docs', name))].map(readDocument);
}

export function readDocument(path: string): Document {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return { path, text, snippets: snippetsOf(text) };
}

/** A folder for the document's snippets; it exists for the compiler alone, inside of the workspace. */
export function folderOf({ path }: Document): string {
  return join(ROOT, 'test/docs', `snippets-of-${path.replaceAll(/\W+/g, '-')}`);
}

/**
 * Code that a page takes as given stands in a comment before the block, which readers don't see:
 *
 *   <!-- given
 *   declare const app: INestApplication;
 *   -->
 */
const BLOCK = /(?:<!-- given\n(?<given>[^]*?)-->\n+)?^```(?<language>\w+)\n(?<code>[^]*?)^```$/gm;

function snippetsOf(text: string): Snippet[] {
  return [...text.matchAll(BLOCK)].map(({ groups = {}, index, 0: block }) => {
    const { given = '', language = '', code = '' } = groups;
    const line = text.slice(0, index + block.indexOf('```')).split('\n').length;
    const path =
      /^\/\/ (src\/[\w./-]+\.ts)$/m.exec(code.split('\n', 1)[0] ?? '')?.[1] ?? `src/line-${line}.ts`;
    return { language, line, path, code: given + code };
  });
}
