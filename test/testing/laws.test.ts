import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { REPOSITORY } from '../support/repository.ts'
import { readTestTitles } from '../support/test-titles.ts'

/** The numbered sentences of a text, each in one line. */
function sentencesOf(text: string): string[] {
  const lines = text.split('\n').map((line) => line.replace(/^ \*( |$)/, ''))
  const sentences: string[] = []
  for (const line of lines) {
    if (/^\d+\. /.test(line)) sentences.push(line)
    else if (/^ {2,}\S/.test(line) && sentences.length > 0) sentences.push(`${sentences.pop() ?? ''} ${line.trim()}`)
    else if (sentences.length > 0) break
  }
  return sentences
}

function read(path: string): string {
  return readFileSync(join(REPOSITORY, path), 'utf8')
}

function sectionOf(page: string, heading: string): string {
  return page.split(/^## /m).find((section) => section.startsWith(heading)) ?? ''
}

test('the page on testing says the laws of a log as the code does, and each has a test that breaks it', () => {
  const laws = sentencesOf(read('src/testing/verify-log.ts'))
  expect(laws).toHaveLength(9)
  expect(sentencesOf(sectionOf(read('docs/testing.md'), 'The laws of a log'))).toEqual(laws)
  const titles = readTestTitles('test/unit/verify-log.test.ts').map(({ title }) => title)
  for (const number of laws.keys()) {
    expect(titles.filter((title) => title.startsWith(`law ${number + 1}:`))).not.toEqual([])
  }
})
