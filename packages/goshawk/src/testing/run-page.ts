// Runs the TypeScript of a page of docs/, as a person would who copies it.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

export interface RunBlock {
  /** Line of the page where it begins. */
  readonly line: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Every block in its order, each as a program of its own in the same folder.
 * @throws what the first that fails says, with its line
 */
export async function runPage(page: string, folder: string): Promise<readonly RunBlock[]> {
  mkdirSync(folder, { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const text = readFileSync(join(root, 'docs', page), 'utf8');
  const done: RunBlock[] = [];
  for (const match of text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)) {
    const line = text.slice(0, match.index).split('\n').length + 1;
    const file = join(folder, `line-${line}.js`);
    const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
    writeFileSync(file, ts.transpileModule(match[1]!, { compilerOptions }).outputText);
    try {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { cwd: folder });
      done.push({ line, stdout, stderr });
    } catch (error) {
      throw new Error(`docs/${page}:${line}: ${(error as { stderr?: string }).stderr ?? String(error)}`);
    }
  }
  return done;
}
