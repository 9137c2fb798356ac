import { toSequenceDiagram } from 'outlive/testing'
import { expect, test } from 'vitest'
import { findStory, paying } from '../docs/examples/charged-once.ts'
import { CHAT_PLATFORMS } from '../src/adapters/channels/chat/chat-adapter.ts'
import { tellChatStory } from './support/chat-story.ts'
import { drawChat } from './support/generated-docs/chat-pictures.ts'
import { drawMermaid } from './support/generated-docs/draw-mermaid.ts'
import { renderErrorsPage } from './support/generated-docs/error-docs.ts'
import { renderStatechartDrawings, renderStatechartsPage } from './support/generated-docs/statechart-docs.ts'
import { listFiles } from './support/repository.ts'

// `npm run docs` writes the files; without it a difference fails.

test('docs/statecharts.md shows the charts as they are', async () => {
  await expect(renderStatechartsPage()).toMatchFileSnapshot('../docs/statecharts.md')
})

test('docs/statecharts holds a drawing of each region and nothing else', async () => {
  const drawings = Object.entries(renderStatechartDrawings())
  for (const [name, svg] of drawings) await expect(svg).toMatchFileSnapshot(`../docs/statecharts/${name}`)
  expect(listFiles('docs/statecharts', '')).toEqual(drawings.map(([name]) => `docs/statecharts/${name}`).sort())
})

test('docs/pictures shows the shortest story in which somebody is charged twice', async () => {
  const story = await findStory(paying('rerun'), 20)
  if (story === undefined) throw new Error('nobody is charged twice')
  await expect(drawMermaid(toSequenceDiagram(story))).toMatchFileSnapshot('../docs/pictures/charged-twice.svg')
})

test('docs/errors.md lists every code and what to do about it', async () => {
  await expect(renderErrorsPage()).toMatchFileSnapshot('../docs/errors.md')
})

test.each(CHAT_PLATFORMS)('docs/pictures shows what %s received', async (platform) => {
  const { acts } = await tellChatStory(platform)
  await expect(drawChat(platform, acts)).toMatchFileSnapshot(`../docs/pictures/chat-${platform}.svg`)
})
