"""Compares two lists of what a binary is made of: `sbom.py CYCLONEDX AUDITED VERSION`.

`AUDITED` is the section `.dep-v0` of a binary that `cargo auditable` has built. Every crate that it notes as part of the program has
to be in the list of CycloneDX, in the same version, with an address and a licence.
"""

import json
import sys
import zlib


def main(cyclonedx, audited, version):
    with open(cyclonedx) as file:
        bom = json.load(file)
    with open(audited, 'rb') as file:
        packages = json.loads(zlib.decompress(file.read()))['packages']
    program = bom['metadata']['component']
    if (bom['bomFormat'], program['name'], program['version']) != ('CycloneDX', 'iem-gateway', version):
        sys.exit(f'sbom: not a list of this program: {program}')
    listed = {(component['name'], component['version']): component for component in [program, *bom['components']]}
    built = {(package['name'], package['version']) for package in packages if package.get('kind', 'runtime') == 'runtime'}
    if missing := sorted(built - listed.keys()):
        sys.exit(f'sbom: in the binary, and not in the list: {missing}')
    for key in built:
        for field in ('purl', 'licenses'):
            if not listed[key].get(field):
                sys.exit(f'sbom: {key} has no {field}')
    print(f'{len(listed)} crates listed, {len(built)} of them in the binary')


if __name__ == '__main__':
    main(*sys.argv[1:])
