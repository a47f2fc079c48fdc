"""Checks the Helm chart: `chart.py CHART DEPLOY VERSION PROGRAM`.

Every set of values in the chart's folder `ci` below `DEPLOY`, and the one of docs/install.md, renders, as Helm itself does it, to what Kubernetes knows; values that would lose records or
start nothing are refused; and the gateway, `PROGRAM`, takes the configuration of each set of values within its memory limit.
"""

import copy
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import helm_python as helm
import kubernetes_validate
import yaml

KUBERNETES = '1.34'
# What operators of Prometheus have defined; there is no schema for it.
CUSTOM = {'ServiceMonitor', 'PrometheusRule'}
UNITS = {'Ki': 2**10, 'Mi': 2**20, 'Gi': 2**30}
# The chart does not know what a broker, a cloud and a database answer.
ELSEWHERE = re.compile(r'^(sink|topics)\b')
DATABASE = re.compile(r'^directory\b')


class Failed(Exception):
    """A check that failed, in words."""


def render(chart, values):
    """Returns the objects by kind and name."""
    files = chart.render(values, name='iem', namespace='prod')
    notes = next(text for name, text in files.items() if name.endswith('NOTES.txt'))
    if not notes.strip():
        raise Failed('no notes')
    manifests = (text for name, text in files.items() if name.endswith('.yaml'))
    objects = [found for text in manifests for found in yaml.safe_load_all(text) if found]
    return {(found['kind'], found['metadata']['name']): found for found in objects}


def check_values(folder, chart, values):
    """Lints, renders and validates."""
    report = helm.lint(folder, values, strict=True, kube_version=f'v{KUBERNETES}.0')
    found = [message for message in report['messages'] if message['severity'] > 1] + report['errors']
    if found:
        raise Failed(f'lint: {found}')
    objects = render(chart, values)
    for (kind, name), value in objects.items():
        if kind not in CUSTOM:
            try:
                kubernetes_validate.validate(value, KUBERNETES, strict=True)
            except kubernetes_validate.ValidationError as error:
                raise Failed(f'{kind} {name}: {error}') from None
    return objects


def pod(objects):
    """Returns the pod's specification."""
    (workload,) = (value for (kind, _), value in objects.items() if kind in {'Deployment', 'StatefulSet'})
    return workload['spec']['template']['spec']


def size(text):
    """Returns the bytes of a quantity of Kubernetes."""
    return int(text[:-2]) * UNITS[text[-2:]]


def check_configuration(program, objects):
    """Starts `check` of the gateway as the pod has it, with each mounted folder in a temporary one."""
    (container,) = pod(objects)['containers']
    (config,) = (value['data']['gateway.toml'] for (kind, _), value in objects.items() if kind == 'ConfigMap')
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)

        def inside(path):
            return re.sub(r'^(?=/(etc|run|var)/)', str(root), path)

        for mount in container['volumeMounts']:
            pathlib.Path(inside(mount['mountPath'])).mkdir(parents=True, exist_ok=True)
        write(root / 'etc/iem-gateway/gateway.toml', config)
        write(root / 'run/iem-gateway/directory/directory.toml', '')
        write(root / 'run/iem-gateway/keys/first.key', 'k' * 43 + '=\n')
        environment = {variable['name']: inside(variable['value']) for variable in container['env']}
        for key, path in environment.items():
            if key.startswith('IEM_GATEWAY_FILE__'):
                write(pathlib.Path(path), 'a secret\n')
        if 'IEM_GATEWAY__SERVER__TLS__KEY' in environment:
            certificate(root / 'run/iem-gateway/tls')
        arguments = [inside(argument) for argument in container['args'][:-1]]
        ran = subprocess.run(
            [program, *arguments, 'check', '--json'],
            env={**environment, 'PATH': os.environ['PATH']},
            cwd=root,
            capture_output=True,
            text=True,
        )
    report = json.loads(ran.stdout or ran.stderr)
    if 'memory' not in report:
        raise Failed(f'the gateway refuses the configuration: {report}')
    bad = [need['what'] for need in report['needs'] if need['level'] == 'bad']
    bad = [what for what in bad if not ELSEWHERE.match(what)]
    if environment.get('IEM_GATEWAY__DIRECTORY__TYPE') == 'postgres':
        bad = [what for what in bad if not DATABASE.match(what)]
    if bad:
        raise Failed(f'the gateway would not start: {bad}')
    ceiling = report['memory']['bytes']
    limit = size(container['resources']['limits']['memory'])
    if ceiling > limit:
        raise Failed(f'the gateway may take {ceiling} bytes, and the limit is {limit}')


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o440)


def certificate(folder):
    """Makes a certificate of its own."""
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '90',
         '-subj', '/CN=iem.example.com', '-addext', 'subjectAltName=DNS:iem.example.com',
         '-keyout', folder / 'tls.key', '-out', folder / 'tls.crt'],
        check=True, capture_output=True,
    )
    (folder / 'tls.key').chmod(0o440)
    (folder / 'ca.crt').write_bytes((folder / 'tls.crt').read_bytes())


def check_rules(deploy, objects):
    """The rules are those of `deploy/prometheus`, for the job that the ServiceMonitor names."""
    name = 'iem-iem-gateway'
    rules = objects['PrometheusRule', name]['spec']['groups']
    files = (deploy / 'prometheus' / file for file in ('recording.yml', 'alerts.yml'))
    if rules != [group for file in files for group in yaml.safe_load(file.read_text())['groups']]:
        raise Failed('the rules are not those of deploy/prometheus')
    label = objects['ServiceMonitor', name]['spec']['jobLabel']
    job = objects['Service', f'{name}-admin']['metadata']['labels'][label]
    if f'job="{job}"' not in json.dumps(rules).replace('\\"', '"'):
        raise Failed(f'no rule is for the job {job}')


def refuses(chart, values, change, words):
    """Changes a value, by its path, and wants Helm to refuse it in these words."""
    values = copy.deepcopy(values)
    path, value = change
    *folders, name = path.split('.')
    place = values
    for folder in folders:
        place = place.setdefault(folder, {})
    if value is None:
        place.pop(name)
    else:
        place[name] = value
    try:
        chart.render(values, name='iem')
    except helm.HelmError as error:
        if words not in str(error):
            raise Failed(f'{path} = {value} is refused as: {error}') from None
    else:
        raise Failed(f'not refused: {path} = {value}')


def main(folder, deploy, version, program):
    deploy = pathlib.Path(deploy)
    with helm.Chart.load(folder) as chart:
        if chart.metadata['appVersion'] != version:
            raise Failed(f'appVersion in {folder}/Chart.yaml is not {version}')
        paths = sorted(deploy.glob('helm/iem-gateway/ci/*-values.yaml'))
        sets = {path.name.removesuffix('-values.yaml'): yaml.safe_load(path.read_text()) for path in paths}
        (documented,) = re.findall(r'^```yaml\n(.*?)^```', (deploy.parent / 'docs/install.md').read_text(), re.MULTILINE | re.DOTALL)
        sets['docs/install.md'] = yaml.safe_load(documented)
        for name, values in sets.items():
            try:
                objects = check_values(folder, chart, values)
                check_configuration(program, objects)
            except (Failed, helm.HelmError) as error:
                raise Failed(f'{name}: {error}') from None
        kafka, journal = sets['kafka'], sets['journal']
        refuses(chart, journal, ('autoscaling.enabled', True), 'autoscaling.enabled and persistence.enabled exclude')
        refuses(chart, journal, ('persistence.enabled', False), 'set persistence.enabled')
        refuses(chart, kafka, ('sink', 'file'), 'needs persistence.enabled')
        refuses(chart, kafka, ('resources.limits.memory', None), 'Set resources.limits.memory')
        refuses(chart, journal, ('tls.secret', ''), 'plaintext: true')
        refuses(chart, kafka, ('directory.secret', ''), 'Set directory.secret')
        refuses(chart, kafka, ('directory.database', 'postgres://db/iem'), 'exclude each other')
        refuses(chart, kafka, ('drainSeconds', '20s'), 'drainSeconds')
        refuses(chart, kafka, ('config', '[admin.tls]\ncertificate = "a"'), 'admin.tls')
        refuses(chart, kafka, ('config', '[admin]\nlogin = "remote"\ntls.key = "a"'), 'admin.tls')
        refuses(chart, kafka, ('replica', 3), 'replica')
        check_rules(deploy, render(chart, kafka))
        stopped = pod(render(chart, {**kafka, 'drainDelaySeconds': 7, 'drainSeconds': 33}))
        if stopped['terminationGracePeriodSeconds'] != 50:
            raise Failed('the time to stop is not delay, drain and ten seconds')
    print(f'Helm {helm.helm_sdk_version()}: {len(sets)} sets of values')


if __name__ == '__main__':
    try:
        main(*sys.argv[1:])
    except Failed as failed:
        sys.exit(f'chart: {failed}')
