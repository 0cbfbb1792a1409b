#!/usr/bin/env python3
"""completion.py BUILD: what bash, zsh and fish make of a line of tuntapctl.

The shells are real ones.  bash and zsh have a terminal, where a line is typed
with tabs in it; the line that they make of it is run.  fish says itself what it
would offer.  What tuntapctl offers is compared with its --help.
"""
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

SECONDS = 20                    # for one line
HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, '..', 'ctl', 'completions')

# A line with tabs, what it becomes, and so what its output begins with.
LINES = [
    ('command', 'tuntapctl statu\t--hel\t', 'Usage: tuntapctl [--socket PATH] '
     'status'),
    ('subcommand', 'tuntapctl polic\ttes\t--hel\t',
     'Usage: tuntapctl [--socket PATH] policy test'),
    ('option', 'tuntapctl --versi\t', 'tuntapctl 0.'),
    ('folder', 'tuntapctl policy test --policy onl\t --jso\t', '{"rules": 1'),
    ('folder-behind-a-sign', 'tuntapctl policy test --policy=onl\t --jso\t',
     '{"rules": 1'),
    ('path-behind-a-sign', 'tuntapctl list --socket=only/5\t',
     'nobody listens at only/50-one.conf'),
    ('user-behind-a-sign', 'tuntapctl policy test --policy=only --tun '
     '--user=daemo\t', 'allowed: tt'),
]

passed = failed = skipped = 0


def result(name, ok, why=''):
    global passed, failed
    if ok:
        passed += 1
        print(f'ok completion-{name}')
    else:
        failed += 1
        print(f'not ok completion-{name}: {why}')


class Terminal:
    """A shell in a terminal of its own."""

    def __init__(self, argv, folder, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(argv[0], argv, env)
        self.seen = ''

    def wait_for(self, pattern):
        end = time.monotonic() + SECONDS
        while not re.search(pattern, self.seen):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return False
            try:
                self.seen += os.read(self.fd, 65536).decode('utf-8', 'replace')
            except OSError:
                return False
        return True

    def run(self, line):
        """Types it, a tab at a time, and says what came out behind."""
        self.seen = ''
        for part in re.split('(\t)', line):
            os.write(self.fd, part.encode())
            if part == '\t':
                self.settle()
        os.write(self.fd, b'; echo do""ne\r')
        self.wait_for(r'done\r?\n')
        return self.seen

    def settle(self):
        """Nothing more comes for a while: the shell has completed."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if not select.select([self.fd], [], [], 0.7)[0]:
                return
            self.seen += os.read(self.fd, 65536).decode('utf-8', 'replace')

    def end(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def interactive(shell, argv, begin, folder, env):
    terminal = Terminal(argv, folder, env)
    for line in begin:
        os.write(terminal.fd, line.encode() + b'\r')
    os.write(terminal.fd, b'echo rea""dy\r')
    terminal.wait_for(r'ready\r?\n')
    terminal.settle()
    for name, line, output in LINES:
        seen = terminal.run(line)
        result(f'{shell}-{name}', output in seen, repr(seen[-600:]))
    terminal.end()


def fish(folder, env):
    script = os.path.join(SCRIPTS, 'tuntapctl.fish')

    def offered(line):
        out = subprocess.run(
            ['fish', '--no-config', '-c', f'source {script}; complete -C "$argv"',
             line], cwd=folder, env=env, capture_output=True, text=True,
            timeout=SECONDS, check=False)
        return [each.split('\t')[0] for each in out.stdout.splitlines()]

    def are(name, line, wanted):
        found = offered(line)
        result(f'fish-{name}', found == wanted, f'{line}: {found}')

    are('command', 'tuntapctl statu', ['status'])
    are('subcommand', 'tuntapctl policy te', ['test'])
    are('option', 'tuntapctl list --js', ['--json'])
    are('folder', 'tuntapctl policy test --policy onl', ['only/'])
    are('folder-behind-a-sign', 'tuntapctl policy test --policy=onl',
        ['--policy=only/'])
    are('path-behind-a-sign', 'tuntapctl list --socket=only/5',
        ['--socket=only/50-one.conf'])
    are('user-behind-a-sign', 'tuntapctl close --user=daemo',
        ['--user=daemon'])


def offers(build, *words):
    out = subprocess.run([f'{build}/tuntapctl', 'complete', '--', *words],
                         capture_output=True, text=True, check=True)
    return [line.split('\t')[0] for line in out.stdout.splitlines()]


def helped(build, *command):
    out = subprocess.run([f'{build}/tuntapctl', *command, '--help'],
                         capture_output=True, text=True, check=True).stdout
    return out


def tables(build):
    """All that --help names is offered, and nothing else."""
    commands = re.findall(r'^  ([a-z][a-z-]*) ', helped(build), re.M)
    result('commands', commands and offers(build, '') == commands,
           f'{commands}, not {offers(build, "")}')
    subcommands = re.findall(r'^  policy ([a-z-]+) ',
                             helped(build, 'policy'), re.M)
    result('subcommands', subcommands and
           offers(build, 'policy', '') == subcommands, f'{subcommands}')
    for command in [[each] for each in commands if each != 'policy'] + \
                   [['policy', each] for each in subcommands]:
        options = re.findall(r'^  (--[a-z-]+)', helped(build, *command), re.M)
        found = offers(build, *command, '-')
        result('options-of-' + '-'.join(command),
               options and found == options, f'{found}, not {options}')


def values(build):
    for name, words, wanted in [
            ('path', ['--socket', '/'], [':files']),
            ('path-behind-a-sign', ['list', '--socket', '=', '/'], [':files']),
            ('path-as-one-word', ['list', '--socket=/ru'], [':files']),
            ('user-as-one-word', ['close', '--user=roo'], ['root']),
            ('number-as-one-word', ['run', '--mtu=1'], []),
            ('unknown-as-one-word', ['list', '--nothing=/'], []),
            ('dir', ['policy', 'test', '--policy', ''], [':folders']),
            ('user', ['close', '--user', 'roo'], ['root']),
            ('cmd', ['run', '--tun', '--', 'l'], [':commands']),
            ('argument', ['run', '--tun', '--', 'ls', '-'], [':files']),
            ('nothing', ['run', '--mtu', ''], []),
            ('no-daemon', ['--socket', '/nowhere', 'close', ''], [])]:
        found = offers(build, *words)
        result(f'value-{name}', found == wanted, f'{found}')


def main():
    global skipped
    build = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(f'{folder}/only')
        with open(f'{folder}/only/50-one.conf', 'w', encoding='ascii') as file:
            file.write('[rule one]\naction = allow\nuser = 1\nkind = tun\n'
                       'name = tt*\n')
        env = {'PATH': f'{build}:{os.environ["PATH"]}', 'HOME': folder,
               'TERM': 'dumb', 'LANG': 'C.UTF-8', 'PS1': '> '}
        tables(build)
        values(build)
        scripts = os.path.abspath(SCRIPTS)
        for shell, run in [
                ('bash', lambda: interactive(
                    'bash', ['bash', '--norc', '--noprofile', '-i'],
                    ['bind "set enable-bracketed-paste off"',
                     f'source {scripts}/tuntapctl.bash'], folder, env)),
                ('zsh', lambda: interactive(
                    'zsh', ['zsh', '-f', '-i'],
                    ['unsetopt zle_bracketed_paste prompt_sp; '
                     f'fpath=({scripts} $fpath)',
                     'autoload -Uz compinit; compinit -u -D'], folder, env)),
                ('fish', lambda: fish(folder, env))]:
            if shutil.which(shell):
                run()
            else:
                skipped += 1
                print(f'SKIP completion-{shell}: there is no {shell}')
    print(f'completion: {passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else 0


sys.exit(main())
