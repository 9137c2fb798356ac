/** Plans that once broke a law, as they were shortened. They stay. */
import type { SimulationPlan } from 'outlive/testing'

export interface KeptPlan extends SimulationPlan {
  /** What holds since. */
  readonly title: string
}

export const KEPT_PLANS: readonly KeptPlan[] = [
  {
    title: 'a store that never answers one call keeps nobody from recovering what a process has let go',
    seed: 77,
    nodes: 2,
    steps: [
      { do: 'pass', ms: 2371 },
      { do: 'pass', ms: 212 },
      { do: 'storeFault', node: 1, fault: 'hang', calls: 3 },
      { do: 'pass', ms: 194 },
      { do: 'pass', ms: 168 },
      { do: 'pass', ms: 204 },
      { do: 'storeFault', node: 1, fault: 'stale', calls: 2 },
      {
        do: 'spawn',
        node: 1,
        owner: 'ann',
        call: {
          tool: 'again',
          input: {
            kind: 'quick',
            ms: 304,
            children: [
              { tool: 'branch', input: { kind: 'stubborn', ms: 2598, children: [], awaits: false }, options: {} },
            ],
            awaits: true,
          },
          options: {},
        },
      },
    ],
  },
  {
    title: 'a message that bounces when its task is cancelled between two attempts breaks no law',
    seed: 139,
    nodes: 2,
    steps: [
      {
        do: 'run',
        node: 1,
        owner: 'ann',
        call: {
          tool: 'branch',
          input: {
            kind: 'slow',
            ms: 385,
            children: [
              {
                tool: 'branch',
                input: { kind: 'failing', ms: 323, children: [], awaits: true },
                options: {
                  retry: { maxAttempts: 2, baseMs: 350, factor: 2, maxMs: 2000, jitter: 'full' },
                  onParentEnd: 'cancel',
                },
              },
            ],
            awaits: false,
          },
          options: {},
        },
      },
      { do: 'send', node: 1, task: 0 },
    ],
  },
  {
    title: 'an end that the store did not get is not told as one that is kept',
    seed: 50,
    nodes: 2,
    steps: [
      {
        do: 'spawn',
        node: 1,
        owner: 'bob',
        call: { tool: 'branch', input: { kind: 'stubborn', ms: 5, children: [], awaits: false }, options: {} },
      },
      { do: 'pass', ms: 216 },
      { do: 'cut', node: 1 },
      { do: 'pass', ms: 207 },
      { do: 'cancel', node: 1, task: 0 },
      { do: 'wait', node: 1, task: 0 },
      { do: 'pass', ms: 1377 },
      { do: 'pass', ms: 1092 },
    ],
  },
  {
    title: 'a parent that is let go of with its child does not end before it',
    seed: 582,
    nodes: 2,
    steps: [
      { do: 'pass', ms: 52 },
      { do: 'pass', ms: 281 },
      { do: 'pass', ms: 103 },
      { do: 'pass', ms: 102 },
      { do: 'pass', ms: 269 },
      { do: 'follow', node: 0, consumer: 2 },
      {
        do: 'spawn',
        node: 0,
        owner: 'ann',
        call: {
          tool: 'again',
          input: {
            kind: 'quick',
            ms: 296,
            children: [{ tool: 'branch', input: { kind: 'slow', ms: 180, children: [], awaits: true }, options: {} }],
            awaits: false,
          },
          options: {},
        },
      },
      { do: 'storeFault', node: 0, fault: 'delay', calls: 3 },
      { do: 'pass', ms: 207 },
    ],
  },
  {
    title: 'what the store kept of a task after its process had let go of it is recovered',
    seed: 354,
    nodes: 2,
    steps: [
      { do: 'crash', node: 1, atCall: 0, isDone: true },
      { do: 'crash', node: 0, atCall: 2, isDone: false },
      {
        do: 'run',
        node: 0,
        owner: 'ann',
        call: {
          tool: 'branch',
          input: { kind: 'quick', ms: 0, children: [], awaits: true },
          options: { concurrencyKey: 'key-0' },
        },
      },
      { do: 'restart', node: 1 },
      { do: 'restart', node: 0 },
      { do: 'crash', node: 1, atCall: 5, isDone: false },
      {
        do: 'run',
        node: 1,
        owner: 'ann',
        call: {
          tool: 'branch',
          input: {
            kind: 'quick',
            ms: 370,
            children: [{ tool: 'branch', input: { kind: 'quick', ms: 0, children: [], awaits: true }, options: {} }],
            awaits: true,
          },
          options: {},
        },
      },
      { do: 'restart', node: 1 },
      {
        do: 'run',
        node: 1,
        owner: 'ann',
        call: {
          tool: 'again',
          input: { kind: 'failing', ms: 122, children: [], awaits: true },
          options: { retry: { maxAttempts: 2, baseMs: 285, factor: 2, maxMs: 2000, jitter: 'full' } },
        },
      },
      {
        do: 'run',
        node: 0,
        owner: 'ann',
        call: {
          tool: 'branch',
          input: {
            kind: 'quick',
            ms: 302,
            children: [
              { tool: 'branch', input: { kind: 'hanging', ms: 760, children: [], awaits: false }, options: {} },
            ],
            awaits: true,
          },
          options: {},
        },
      },
      { do: 'storeFault', node: 1, fault: 'hang', calls: 3 },
      { do: 'pass', ms: 1296 },
    ],
  },
  {
    title: 'a process that was taken for dead forgets nothing that it has taken over meanwhile',
    seed: 743,
    nodes: 2,
    steps: [
      { do: 'pass', ms: 230 },
      { do: 'pass', ms: 141 },
      { do: 'pass', ms: 142 },
      { do: 'pass', ms: 153 },
      { do: 'pass', ms: 180 },
      { do: 'pass', ms: 93 },
      { do: 'pass', ms: 98 },
      { do: 'storeFault', node: 0, fault: 'delay', calls: 3 },
      { do: 'channelFault', fault: 'hang', sends: 3 },
      { do: 'pass', ms: 181 },
      { do: 'pass', ms: 166 },
      { do: 'pass', ms: 178 },
      { do: 'pass', ms: 245 },
      { do: 'pass', ms: 242 },
      { do: 'pass', ms: 137 },
      { do: 'pass', ms: 266 },
      {
        do: 'spawn',
        node: 1,
        owner: 'ann',
        call: {
          tool: 'branch',
          input: { kind: 'quick', ms: 351, children: [], awaits: false },
          options: { deliverTo: 'mail:box-1' },
        },
      },
      { do: 'pass', ms: 161 },
      { do: 'pass', ms: 192 },
      { do: 'pass', ms: 255 },
      { do: 'pause', node: 0 },
      { do: 'storeFault', node: 0, fault: 'delay', calls: 2 },
      { do: 'cut', node: 1 },
      { do: 'pass', ms: 3339 },
      { do: 'resume', node: 0 },
    ],
  },
  {
    title: 'processes that stop while nothing goes wrong any more come back, and finish what they have handed on',
    seed: 50086,
    nodes: 2,
    steps: [
      {
        do: 'spawn',
        node: 0,
        owner: 'ann',
        call: { tool: 'again', input: { kind: 'slow', ms: 2662, children: [], awaits: true }, options: {} },
      },
      { do: 'stop', node: 0 },
      {
        do: 'spawn',
        node: 1,
        owner: 'ann',
        call: { tool: 'branch', input: { kind: 'reporting', ms: 149, children: [], awaits: true }, options: {} },
      },
      { do: 'stop', node: 1 },
    ],
  },
  {
    title: 'a delivery that was taken over from one who still sends it is taken back when the other one is lost',
    seed: 265,
    nodes: 2,
    steps: [
      { do: 'pass', ms: 753 },
      { do: 'pass', ms: 187 },
      { do: 'channelFault', fault: 'hang', sends: 3 },
      {
        do: 'spawn',
        node: 0,
        owner: 'ann',
        call: {
          tool: 'branch',
          input: { kind: 'quick', ms: 293, children: [], awaits: true },
          options: { deliverTo: 'mail:box-0' },
        },
      },
      { do: 'pause', node: 0 },
      { do: 'pass', ms: 2064 },
      { do: 'pause', node: 1 },
      { do: 'pass', ms: 30 },
      { do: 'pass', ms: 2975 },
    ],
  },
  {
    title: 'an attempt at a moment that was kept while the clock was wrong comes, however wrong it was',
    seed: 10_088,
    nodes: 1,
    steps: [
      { do: 'crash', node: 0, atCall: 8, isDone: true },
      {
        do: 'spawn',
        node: 0,
        owner: 'ann',
        call: {
          tool: 'branch',
          input: {
            kind: 'quick',
            ms: 316,
            children: [
              {
                tool: 'branch',
                input: { kind: 'quick', ms: 326, children: [], awaits: true },
                options: { deliverTo: 'mail:box-0' },
              },
            ],
            awaits: true,
          },
          options: {},
        },
      },
      { do: 'restart', node: 0 },
      { do: 'channelFault', fault: 'hang', sends: 3 },
      { do: 'pass', ms: 22_000 },
      { do: 'jump', node: 0, ms: 42_723 },
      { do: 'jump', node: 0, ms: 45_833 },
      { do: 'pass', ms: 14_500 },
    ],
  },
  {
    title: 'what a process sends under a name that it has lost is sent by another one when it dies',
    seed: 22,
    nodes: 2,
    steps: [
      { do: 'pass', ms: 1521 },
      { do: 'pause', node: 0 },
      { do: 'follow', node: 1, consumer: 1 },
      { do: 'pass', ms: 3616 },
      { do: 'pass', ms: 230 },
      { do: 'pass', ms: 40 },
      { do: 'channelFault', fault: 'hang', sends: 3 },
      {
        do: 'spawn',
        node: 1,
        owner: 'ann',
        call: {
          tool: 'branch',
          input: { kind: 'quick', ms: 75, children: [], awaits: false },
          options: { deliverTo: 'mail:box-2' },
        },
      },
      { do: 'pass', ms: 133 },
      { do: 'pause', node: 1 },
      { do: 'pass', ms: 2974 },
      { do: 'resume', node: 1 },
      {
        do: 'spawn',
        node: 1,
        owner: 'ann',
        call: { tool: 'branch', input: { kind: 'failing', ms: 169, children: [], awaits: false }, options: {} },
      },
    ],
  },
  {
    title: 'what a process asks for under a name that was forgotten is delivered when it dies as well',
    seed: 7057,
    nodes: 2,
    steps: [
      {
        do: 'spawn',
        node: 1,
        owner: 'bob',
        call: {
          tool: 'branch',
          input: {
            kind: 'quick',
            ms: 67,
            children: [
              {
                tool: 'branch',
                input: {
                  kind: 'reading',
                  ms: 176,
                  children: [
                    { tool: 'branch', input: { kind: 'quick', ms: 55, children: [], awaits: true }, options: {} },
                    { tool: 'branch', input: { kind: 'quick', ms: 2293, children: [], awaits: true }, options: {} },
                    { tool: 'branch', input: { kind: 'quick', ms: 0, children: [], awaits: true }, options: {} },
                  ],
                  awaits: true,
                },
                options: {},
              },
            ],
            awaits: true,
          },
          options: {},
        },
      },
      {
        do: 'spawn',
        node: 1,
        owner: 'ann',
        call: { tool: 'branch', input: { kind: 'quick', ms: 668, children: [], awaits: false }, options: {} },
      },
      {
        do: 'spawn',
        node: 0,
        owner: 'ann',
        call: { tool: 'branch', input: { kind: 'quick', ms: 193, children: [], awaits: true }, options: {} },
      },
      { do: 'crash', node: 1, atCall: 5, isDone: false },
      {
        do: 'spawn',
        node: 0,
        owner: 'bob',
        call: { tool: 'branch', input: { kind: 'quick', ms: 361, children: [], awaits: true }, options: {} },
      },
      {
        do: 'spawn',
        node: 0,
        owner: 'ann',
        call: {
          tool: 'branch',
          input: {
            kind: 'quick',
            ms: 286,
            children: [
              {
                tool: 'branch',
                input: {
                  kind: 'quick',
                  ms: 90,
                  children: [
                    { tool: 'branch', input: { kind: 'quick', ms: 253, children: [], awaits: true }, options: {} },
                  ],
                  awaits: true,
                },
                options: {},
              },
              { tool: 'branch', input: { kind: 'quick', ms: 42, children: [], awaits: true }, options: {} },
              { tool: 'branch', input: { kind: 'quick', ms: 171, children: [], awaits: true }, options: {} },
            ],
            awaits: true,
          },
          options: {},
        },
      },
      {
        do: 'spawn',
        node: 1,
        owner: 'ann',
        call: { tool: 'branch', input: { kind: 'quick', ms: 338, children: [], awaits: true }, options: {} },
      },
      { do: 'redirect', node: 0, task: 13 },
      { do: 'pass', ms: 4731 },
      { do: 'channelFault', fault: 'hang', sends: 2 },
      { do: 'pause', node: 0 },
      { do: 'restart', node: 1 },
      { do: 'pass', ms: 3628 },
      { do: 'resume', node: 0 },
    ],
  },
  {
    title: 'a parent whose child was admitted too late, among others, does not end before it',
    seed: 229,
    nodes: 2,
    steps: [
      {
        do: 'run',
        node: 1,
        owner: 'bob',
        call: {
          tool: 'branch',
          input: { kind: 'failing', ms: 288, children: [], awaits: true },
          options: {
            retry: { maxAttempts: 3, baseMs: 51, factor: 2, maxMs: 2000, jitter: 'full' },
            attemptTimeoutMs: 148,
          },
        },
      },
      {
        do: 'run',
        node: 1,
        owner: 'bob',
        call: { tool: 'branch', input: { kind: 'stubborn', ms: 0, children: [], awaits: true }, options: {} },
      },
      { do: 'storeFault', node: 1, fault: 'hang', calls: 3 },
      {
        do: 'spawn',
        node: 1,
        owner: 'ann',
        call: { tool: 'branch', input: { kind: 'quick', ms: 0, children: [], awaits: false }, options: {} },
      },
      { do: 'pass', ms: 12 },
      {
        do: 'spawn',
        node: 0,
        owner: 'bob',
        call: { tool: 'branch', input: { kind: 'hanging', ms: 2995, children: [], awaits: true }, options: {} },
      },
    ],
  },
  {
    title: 'what a process has let go of runs again, also when its code has not ended at the next sweep',
    seed: 4599,
    nodes: 3,
    steps: [
      { do: 'pass', ms: 2969 },
      {
        do: 'run',
        node: 1,
        owner: 'ann',
        call: {
          tool: 'again',
          input: {
            kind: 'quick',
            ms: 143,
            children: [
              {
                tool: 'again',
                input: {
                  kind: 'quick',
                  ms: 398,
                  children: [
                    { tool: 'branch', input: { kind: 'asking', ms: 162, children: [], awaits: true }, options: {} },
                  ],
                  awaits: true,
                },
                options: {},
              },
            ],
            awaits: true,
          },
          options: {},
        },
      },
      { do: 'storeFault', node: 1, fault: 'delay', calls: 3 },
      { do: 'pass', ms: 1668 },
    ],
  },
  {
    title: 'a process whose store does not answer just now is not taken for an empty one',
    seed: 705_343,
    nodes: 2,
    steps: [
      { do: 'wait', node: 1, task: 18 },
      { do: 'cut', node: 1 },
      { do: 'pass', ms: 779 },
      {
        do: 'spawn',
        node: 1,
        owner: 'ann',
        call: {
          tool: 'again',
          input: {
            kind: 'quick',
            ms: 41,
            children: [
              {
                tool: 'branch',
                input: {
                  kind: 'quick',
                  ms: 0,
                  children: [
                    { tool: 'branch', input: { kind: 'hanging', ms: 0, children: [], awaits: true }, options: {} },
                  ],
                  awaits: true,
                },
                options: {},
              },
            ],
            awaits: false,
          },
          options: {},
        },
      },
      { do: 'mend', node: 1 },
      { do: 'storeFault', node: 1, fault: 'hang', calls: 3 },
      { do: 'pass', ms: 5279 },
    ],
  },
  {
    title: 'a task that was taken up again ends after a child whose admission was still on its way',
    seed: 705_125,
    nodes: 5,
    steps: [
      {
        do: 'spawn',
        node: 3,
        owner: 'ann',
        call: { tool: 'again', input: { kind: 'stubborn', ms: 380, children: [], awaits: true }, options: {} },
      },
      { do: 'storeFault', node: 3, fault: 'hang', calls: 3 },
      { do: 'pass', ms: 3852 },
    ],
  },
  {
    title: 'nothing starts below a task that waits for its turn, and so nothing outlives it when it is cancelled there',
    seed: 101,
    nodes: 5,
    steps: [
      {
        do: 'spawn',
        node: 4,
        owner: 'ann',
        call: {
          tool: 'strict',
          input: {
            kind: 'failing',
            ms: 198,
            children: [
              { tool: 'branch', input: { kind: 'failing', ms: 83, children: [], awaits: false }, options: {} },
              { tool: 'branch', input: { kind: 'quick', ms: 1801, children: [], awaits: true }, options: {} },
              { tool: 'branch', input: { kind: 'quick', ms: 25, children: [], awaits: true }, options: {} },
            ],
            awaits: false,
          },
          options: {},
        },
      },
      {
        do: 'spawnBelow',
        node: 1,
        task: 1,
        call: { tool: 'branch', input: { kind: 'slow', ms: 101, children: [], awaits: true }, options: {} },
      },
    ],
  },
  {
    title: 'nothing starts below a task that was taken up again, before its next attempt',
    seed: 554,
    nodes: 1,
    steps: [
      {
        do: 'spawn',
        node: 0,
        owner: 'ann',
        call: { tool: 'again', input: { kind: 'stubborn', ms: 21, children: [], awaits: true }, options: {} },
      },
      { do: 'jump', node: 0, ms: 24_733 },
      { do: 'stop', node: 0 },
      { do: 'pass', ms: 2699 },
      { do: 'restart', node: 0 },
      { do: 'pass', ms: 3137 },
      {
        do: 'runBelow',
        node: 0,
        task: 0,
        call: { tool: 'branch', input: { kind: 'deaf', ms: 313, children: [], awaits: false }, options: {} },
      },
    ],
  },
  {
    title: 'a child whose process stands still may outlive the parent in another process that has stopped it',
    seed: 365,
    nodes: 5,
    steps: [
      {
        do: 'spawn',
        node: 2,
        owner: 'ann',
        call: { tool: 'branch', input: { kind: 'reporting', ms: 309, children: [], awaits: false }, options: {} },
      },
      {
        do: 'spawnBelow',
        node: 3,
        task: 0,
        call: {
          tool: 'branch',
          input: { kind: 'reading', ms: 151, children: [], awaits: false },
          options: { onParentEnd: 'cancel' },
        },
      },
      { do: 'pause', node: 3 },
      { do: 'pass', ms: 1002 },
    ],
  },
  {
    title: 'what is run below a task is of record, and so it has begun before the task is stopped',
    seed: 3078,
    nodes: 2,
    steps: [
      {
        do: 'spawn',
        node: 0,
        owner: 'ann',
        call: { tool: 'branch', input: { kind: 'failing', ms: 352, children: [], awaits: true }, options: {} },
      },
      {
        do: 'runBelow',
        node: 0,
        task: 0,
        call: { tool: 'branch', input: { kind: 'deaf', ms: 303, children: [], awaits: true }, options: {} },
      },
    ],
  },
  {
    title: 'a task does not wait for what it has stopped in a process that cannot write, nor do its next attempts',
    seed: 3287,
    nodes: 5,
    steps: [
      {
        do: 'spawn',
        node: 3,
        owner: 'ann',
        call: {
          tool: 'branch',
          input: {
            kind: 'failing',
            ms: 26,
            children: [
              { tool: 'branch', input: { kind: 'quick', ms: 322, children: [], awaits: false }, options: {} },
              {
                tool: 'branch',
                input: {
                  kind: 'quick',
                  ms: 374,
                  children: [
                    { tool: 'branch', input: { kind: 'quick', ms: 362, children: [], awaits: false }, options: {} },
                  ],
                  awaits: true,
                },
                options: {},
              },
            ],
            awaits: true,
          },
          options: { retry: { maxAttempts: 3, baseMs: 397, factor: 2, maxMs: 2000, jitter: 'full' } },
        },
      },
      {
        do: 'spawnBelow',
        node: 0,
        task: 3,
        call: { tool: 'branch', input: { kind: 'failing', ms: 333, children: [], awaits: false }, options: {} },
      },
      { do: 'storeFault', node: 0, fault: 'hang', calls: 3 },
      { do: 'pass', ms: 336 },
    ],
  },
  {
    title: 'two who ask for a task whose end is not kept yet do not keep each other asking',
    seed: 1881,
    nodes: 3,
    steps: [
      {
        do: 'spawn',
        node: 1,
        owner: 'ann',
        call: {
          tool: 'again',
          input: {
            kind: 'deaf',
            ms: 202,
            children: [
              {
                tool: 'strict',
                input: { kind: 'slow', ms: 102, children: [], awaits: true },
                options: { name: 'name-1', priority: 0, deliverTo: 'mail:box-1' },
              },
            ],
            awaits: true,
          },
          options: { name: 'name-0' },
        },
      },
      { do: 'storeFault', node: 1, fault: 'hang', calls: 2 },
      { do: 'pass', ms: 1519 },
      {
        do: 'spawn',
        node: 2,
        owner: 'bob',
        call: {
          tool: 'branch',
          input: { kind: 'quick', ms: 343, children: [], awaits: true },
          options: { concurrencyKey: 'key-1', onBusy: 'keepLatest' },
        },
      },
      { do: 'pass', ms: 1722 },
      {
        do: 'spawn',
        node: 2,
        owner: 'ann',
        call: {
          tool: 'again',
          input: { kind: 'asking', ms: 114, children: [], awaits: true },
          options: { timeoutMs: 744 },
        },
      },
      {
        do: 'spawn',
        node: 2,
        owner: 'ann',
        call: {
          tool: 'strict',
          input: { kind: 'asking', ms: 0, children: [], awaits: true },
          options: { concurrencyKey: 'key-0', onBusy: 'reject', attemptTimeoutMs: 466, deliverTo: 'mail:box-1' },
        },
      },
      {
        do: 'spawnBelow',
        node: 1,
        task: 7,
        call: {
          tool: 'branch',
          input: { kind: 'asking', ms: 301, children: [], awaits: true },
          options: { name: 'name-2' },
        },
      },
      { do: 'storeFault', node: 1, fault: 'duplicate', calls: 2 },
      { do: 'background', node: 1, task: 4 },
    ],
  },
]
