/** `npm run bench:render`: the page and its charts from the results that are kept; nothing is measured. */
import { render } from './write-page.ts'

await render()
