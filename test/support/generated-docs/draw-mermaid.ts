/** Drawings of Mermaid diagrams. */
import { renderMermaidSVG } from 'beautiful-mermaid'

/** The colours of a drawing, for viewers that know no CSS variables. */
const COLOURS: Readonly<Record<string, string>> = {
  bg: '#ffffff',
  _text: '#1f2328',
  '_text-sec': '#424a53',
  _line: '#6e7781',
  _arrow: '#424a53',
  '_node-fill': '#eef4fb',
  '_node-stroke': '#54789e',
  '_text-muted': '#424a53',
  '_inner-stroke': '#ffffff',
}

/** An SVG that looks the same everywhere: no fonts from elsewhere, no variables. */
export function drawMermaid(mermaid: string): string {
  const svg = renderMermaidSVG(mermaid.replaceAll(' / ', '<br>'), { nodeSpacing: 32, layerSpacing: 56, padding: 16 })
  const drawn = svg
    .replace(/<style>.*?<\/style>/s, '<style>text { font-family: Helvetica, Arial, sans-serif; }</style>')
    .replace(/--bg:[^;]*;--fg:[^;]*;/, '')
    .replaceAll(/var\(--([\w-]+)\)/g, (_, name: string) => {
      const colour = COLOURS[name]
      if (colour === undefined) throw new Error(`the drawing uses the colour ${name}, which has no value here`)
      return colour
    })
  return `${drawn}\n`
}
