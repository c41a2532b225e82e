; language:   tsx
; extensions: .tsx
; grammar:    tree-sitter-typescript/tree-sitter-tsx.wasm
; inherits:   typescript

; Angle brackets are elements here and not casts, hence a grammar of its own. Its nodes are those of TypeScript and
; elements, whose names are identifiers like any other.
