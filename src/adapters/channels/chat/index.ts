/** Chat platforms as channels, through the Chat SDK. */
export {
  SLACK_CLIENT_OPTIONS,
  type ChatAdapter,
  type ChatChannelOptions,
  type ChatInstance,
  type ChatPlatform,
  type ChatPost,
} from './chat-adapter.ts'
export { chatChannel } from './chat-channel.ts'
