/** Optional packages are loaded when a store is opened, and named when they are missing. */
import { TaskError } from '../../errors.ts'

/** @throws `store_unusable` when the package, or a part of it for this machine, is not installed. */
export async function loadPackage<Module>(npm: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error
    throw new TaskError('store_unusable', `This store needs the package ${npm}: npm install ${npm}`, { cause: error })
  }
}
