/** What a control tool is: for a host, which hands it to a model; and as it is written here, one file each. */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec'
import type { Session } from '../../ports/session.ts'
import type { JsonSchema } from './json-schema.ts'
import type { Arguments, Parameters } from './parameters.ts'
import type { Startable } from './startable.ts'

export type ControlToolName =
  | 'task_check'
  | 'task_wait'
  | 'task_list'
  | 'task_result'
  | 'task_cancel'
  | 'task_redirect'
  | 'task_send'
  | 'task_answer'
  | 'task_start'

/** What a host may know of a tool before it lets a model call it. */
export interface ControlToolAnnotations {
  /** A call changes nothing. */
  readonly readOnly: boolean
  /** What a call does may not be undone. */
  readonly destructive: boolean
  /** The same call again changes nothing more. */
  readonly idempotent: boolean
}

/** A tool that a model works on its owner's tasks with, in terms of no model SDK. */
export interface ControlTool {
  readonly name: ControlToolName
  readonly description: string
  /** The arguments as JSON Schema (draft 2020-12): an object at the top, as model SDKs ask for. The set's own copy. */
  readonly inputSchema: JsonSchema
  /** The arguments as a Standard Schema with its JSON Schema. It reads leniently and refuses nothing. */
  readonly input: StandardSchemaV1<unknown, ControlToolArguments> & StandardJSONSchemaV1<unknown, ControlToolArguments>
  readonly annotations: ControlToolAnnotations
  /**
   * Does what the model asks and answers with a text for it, errors included.
   * @throws the reason of `signal` once the host aborts; a task that was waited for goes on
   */
  execute(args: unknown, options?: { readonly signal?: AbortSignal }): Promise<string>
}

/** Arguments as they were read: every name is there, with a value that the tool can use. */
export type ControlToolArguments = Readonly<Record<string, unknown>>

/** What the tools of one set share. */
export interface ControlParts {
  readonly session: Session
  /** The tools that the model has: a text names no other. */
  readonly names: ReadonlySet<ControlToolName>
  /** Whether a text is small enough for one answer. */
  fits(text: string): boolean
  /** The task whose code is running, if it is one of the owner's. */
  findSelf(): Promise<string | undefined>
  now(): number
  readonly redirectTo: readonly string[]
  readonly start: readonly Startable[]
  /** Told of errors that no model can do anything about. */
  reportError(error: unknown, tool: ControlToolName): void
}

/** A control tool as its file gives it. */
export interface ControlToolSpec<Known extends Parameters> {
  readonly name: ControlToolName
  readonly description: string
  readonly parameters: Known
  readonly annotations: ControlToolAnnotations
  /** May reject: errors are told by their code. */
  answer(args: Arguments<Known>, call: { readonly signal: AbortSignal | undefined }): Promise<string>
}

export const CHANGES_NOTHING: ControlToolAnnotations = Object.freeze({
  readOnly: true,
  destructive: false,
  idempotent: true,
})
