// Fetches the programs of `package.json` into the tools' folder, once for each state of its lock file.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { npmInto } from '../clients/npm.mjs';

const tools = process.env.IEM_TOOLS ?? join(import.meta.dirname, '../../target/console-tools');
const npmFolder = () => npmInto(tools, import.meta.dirname);

/** Loads a package of `package.json`. */
export const npmRequire = () => createRequire(join(npmFolder(), 'package.json'));

if (process.argv[1] === import.meta.filename) npmFolder();
