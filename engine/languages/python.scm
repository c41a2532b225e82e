; language:   python
; extensions: .py .pyi
; grammar:    tree-sitter-python/tree-sitter-python.wasm

; Where a chunk may begin. A wrapper lends its span to the definition inside it.
(module (_) @statement)
(block (_) @statement)
(function_definition name: (identifier) @name body: (_) @body) @definition.function
(class_definition name: (identifier) @name body: (_) @body) @definition.class
(decorated_definition
  definition: (function_definition name: (identifier) @name body: (_) @body) @definition.function) @wrapper
(decorated_definition
  definition: (class_definition name: (identifier) @name body: (_) @body) @definition.class) @wrapper

; A comment belongs to the code after it, so it begins nothing.
(comment) @comment

[(import_statement) (import_from_statement) (future_import_statement)] @import
(import_statement name: (dotted_name) @import.name)
(import_statement name: (aliased_import name: (dotted_name) @import.name))
(import_from_statement module_name: (_) @import.module)
(import_from_statement name: (dotted_name) @import.name)
(import_from_statement name: (aliased_import name: (dotted_name) @import.name))
(import_from_statement (wildcard_import) @import.name)
(future_import_statement name: (dotted_name) @import.name)
(import_statement name: [
  (dotted_name (identifier) @import.part)
  (aliased_import (dotted_name (identifier) @import.part))
  (aliased_import alias: (identifier) @import.part)
])
(import_from_statement [
  (dotted_name (identifier) @import.part)
  (relative_import (dotted_name (identifier) @import.part))
  (aliased_import (dotted_name (identifier) @import.part))
  (aliased_import alias: (identifier) @import.part)
])
(future_import_statement (dotted_name (identifier) @import.part))

; Names. Every identifier is a reference unless a pattern below, or a definition's name, says otherwise.
(identifier) @reference

(assignment left: [
  (identifier) @binding
  (attribute attribute: (identifier) @binding)
  (pattern_list [(identifier) @binding (attribute attribute: (identifier) @binding)])
  (tuple_pattern [(identifier) @binding (attribute attribute: (identifier) @binding)])
])
(named_expression name: (identifier) @binding)
(for_statement left: [(identifier) @binding (pattern_list (identifier) @binding) (tuple_pattern (identifier) @binding)])
(as_pattern_target (identifier) @binding)

(parameters (identifier) @parameter)
(lambda_parameters (identifier) @parameter)
(typed_parameter . (identifier) @parameter)
(default_parameter name: (identifier) @parameter)
(typed_default_parameter name: (identifier) @parameter)
(parameters [(list_splat_pattern (identifier) @parameter) (dictionary_splat_pattern (identifier) @parameter)])
(lambda_parameters [(list_splat_pattern (identifier) @parameter) (dictionary_splat_pattern (identifier) @parameter)])
(typed_parameter [(list_splat_pattern (identifier) @parameter) (dictionary_splat_pattern (identifier) @parameter)])

; What of a file could not be parsed.
(ERROR) @error
