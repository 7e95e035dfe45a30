/** What stands under the help of each command. */
const EXAMPLES: Readonly<Record<string, readonly (readonly [command: string, what: string])[]>> = {
  agent: [
    ['shoal agent', 'with /etc/shoal/shoal.yaml if it exists'],
    ['shoal agent --config fleet.yaml --set store.quota=20GiB', 'with a file, and one key overridden'],
  ],
  status: [
    ['shoal status', 'is it up, what is stored, where bytes came from'],
    ['shoal status --json | jq .traffic', 'for programs'],
  ],
  peers: [['shoal peers', 'the other agents, and who is shut out']],
  blobs: [['shoal blobs', 'the least recently used are the last ones']],
  transfers: [
    ['shoal transfers', 'what is on its way now'],
    ['shoal transfers --watch', 'again and again, with bars'],
  ],
  prewarm: [
    ['shoal prewarm nginx:1.27', 'for the platform of this host'],
    ['shoal prewarm --platform all registry.example:5000/app@sha256:…', 'for all platforms'],
    ['shoal prewarm --fleet --hosts 4 nginx:1.27 redis:7', 'on every agent that this one knows, four at a time'],
    ['shoal prewarm --json nginx:1.27', 'a line of JSON for each event'],
  ],
  doctor: [
    ['shoal doctor', 'does it work, and what to do if not; also while the agent is down'],
    ['shoal doctor --json | jq ".checks[] | select(.state == \\"fail\\")"', 'for programs'],
  ],
  'support-bundle': [
    ['shoal support-bundle', 'a tar.gz here; names of repositories and hosts are hidden'],
    [
      'shoal support-bundle --with-names --with-hosts -o /tmp/bundle.tar.gz',
      'for somebody who may know them, to another place',
    ],
  ],
  completion: [
    ['shoal completion bash > /etc/bash_completion.d/shoal', 'bash, for all users'],
    ['shoal completion zsh > "${fpath[1]}/_shoal"', 'zsh'],
    ['shoal completion fish > ~/.config/fish/completions/shoal.fish', 'fish'],
  ],
  verify: [['shoal verify', 'reads the whole store: takes as long as the disk does']],
  gc: [['shoal gc', 'after store.quota was made smaller']],
  rm: [['shoal rm 4e8f3f48e957', 'the beginning of a digest is enough']],
}

export function examplesOf(command: string): string {
  const examples = EXAMPLES[command] ?? []
  if (examples.length === 0) return ''
  return `\nExamples:\n${examples.map(([line, what]) => `  # ${what}\n  $ ${line}`).join('\n')}\n`
}
