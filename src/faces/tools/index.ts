/** `outlive/tools`: tools that a model works on its owner's tasks with. */
export { controlTools } from './control-tools.ts'
export type { ControlToolsOptions } from './control-tools-options.ts'
export type { ControlTool, ControlToolAnnotations, ControlToolArguments, ControlToolName } from './control-tool.ts'
export type { JsonSchema } from './json-schema.ts'
export type { StartableTool } from './startable.ts'
export { ticketText } from './ticket-text.ts'
