/** The survey in a sentence, as a task of its own: its result goes to everybody who follows surveys. */
import { defineTool } from 'outlive'
import type { Report } from './agents/survey-agent.ts'
import { bytesText, countText } from './texts.ts'

export const headline = defineTool({
  name: 'headline',
  run({ totals, similar = [] }: Report): string {
    const [largest] = totals.largest
    const found = `${countText(totals.files, 'file')} with ${bytesText(totals.bytes)} in ${countText(totals.folders, 'subfolder')}`
    const most = largest === undefined ? '' : `; the largest is ${largest.path}`
    return `${found}${most}; ${countText(similar.length, 'pair')} of similar files.`
  },
})
