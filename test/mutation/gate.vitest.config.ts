import { vitestFor } from './vitest-for.ts'

export default vitestFor([
  'test/behaviour/{isolation,bad-input,lineage,cursors,cancel-all,background-and-attach,redirect,waits,stats}.test.ts',
  'test/behaviour/{context,dedupe,ephemeral,failures,gate,live-set,messages,operator,options,questions,results,retry-verb}.test.ts',
  'test/behaviour/delivery/dead-letters.test.ts',
  'test/behaviour/nodes/{deliveries,verbs,trees,tree-messages}.test.ts',
  'test/unit/{cursor,list-cursor,orders}.test.ts',
  'test/mutation/loads.test.ts',
])
