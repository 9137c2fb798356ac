import { vitestFor } from './vitest-for.ts'

/** Without `memoise.property.test.ts`, whose 100,000 runs take longer than everything else together. */
export default vitestFor([
  'test/machines/{busy-key,delivery-policy,memoise,policies,policies.property,recovery,task-chart}.test.ts',
  'test/mutation/loads.test.ts',
])
