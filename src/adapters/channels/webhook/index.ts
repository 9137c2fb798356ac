/** `outlive/channels/webhook`: results as signed webhooks. */
export { webhookChannel } from './webhook-channel.ts'
export type { WebhookChannelOptions, WebhookEndpoint } from './webhook-options.ts'
export type { WebhookSecrets } from './webhook-signer.ts'
