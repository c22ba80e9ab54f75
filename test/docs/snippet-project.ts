import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { readDocument, ROOT } from './snippets.ts';
import { compilerOptions } from './type-check.ts';

/** The code of a page as a project that runs, in a folder that git ignores, inside of the workspace's node_modules. */
export class SnippetProject {
  static #count = 0;
  readonly #folder = join(ROOT, '.services', `snippets-${process.pid}-${SnippetProject.#count++}`);

  constructor(private readonly page: string) {}

  /** Compiles each file like a user's `tsc`. */
  async write(): Promise<void> {
    // `nodenext` would look at a package.json that a single file does not have.
    const options = { ...compilerOptions(), module: ts.ModuleKind.ES2022, noEmit: false };
    await this.#writeFile('package.json', '{ "type": "module" }');
    for (const { language, path, code } of readDocument(this.page).snippets) {
      if (language !== 'ts') continue;
      const { outputText } = ts.transpileModule(code, { compilerOptions: options, fileName: path });
      await this.#writeFile(path.replace(/\.ts$/, '.js'), outputText);
    }
  }

  /** @param path such as `src/app.js` */
  async import<T>(path: string): Promise<T> {
    return (await import(join(this.#folder, path))) as T;
  }

  async dispose(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #writeFile(path: string, text: string): Promise<void> {
    const file = join(this.#folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}
