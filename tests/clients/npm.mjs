// Fetches the programs of `package.json` into the target folder, once for each state of its lock file.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const tools = process.env.IEM_TOOLS ?? join(import.meta.dirname, '../../target/clients');

/** Fetches the programs of `source`'s list into the folder, and returns it: it holds `node_modules`. */
export function npmInto(folder, source) {
    const lock = join(source, 'package-lock.json');
    const fetched = join(folder, 'node_modules/.from');
    try {
        if (readFileSync(fetched).equals(readFileSync(lock))) return folder;
    } catch { /* Nothing was fetched yet. */ }
    mkdirSync(folder, { recursive: true });
    copyFileSync(lock, join(folder, 'package-lock.json'));
    copyFileSync(join(source, 'package.json'), join(folder, 'package.json'));
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, stdio: ['ignore', 2, 2] });
    copyFileSync(lock, fetched);
    return folder;
}

/** Returns the folder that holds `node_modules`. */
const npmFolder = () => npmInto(join(tools, 'npm'), import.meta.dirname);

/** Loads a package of `package.json`. */
export const npmPackage = (name) => createRequire(join(npmFolder(), 'package.json'))(name);

if (process.argv[1] === import.meta.filename) console.log(npmFolder());
