// Fetches the programs of `package.json` into the tools' folder, once for each state of its lock file.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const tools = process.env.IEM_TOOLS ?? join(import.meta.dirname, '../../target/console-tools');

/** Returns the folder that holds `node_modules`. */
export function npmFolder() {
    const lock = join(import.meta.dirname, 'package-lock.json');
    const fetched = join(tools, 'node_modules/.from');
    try {
        if (readFileSync(fetched).equals(readFileSync(lock))) return tools;
    } catch { /* Nothing was fetched yet. */ }
    mkdirSync(tools, { recursive: true });
    for (const name of ['package.json', 'package-lock.json']) {
        copyFileSync(join(import.meta.dirname, name), join(tools, name));
    }
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: tools, stdio: ['ignore', 2, 2] });
    copyFileSync(lock, fetched);
    return tools;
}

/** Loads a package of `package.json`. */
export const npmRequire = () => createRequire(join(npmFolder(), 'package.json'));

if (process.argv[1] === import.meta.filename) npmFolder();
