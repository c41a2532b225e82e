; language:   ruby
; extensions: .rb .rake .gemspec .ru
; grammar:    tree-sitter-ruby/tree-sitter-ruby.wasm

; Where a chunk may begin.
(program (_) @statement)
(body_statement (_) @statement)
(block_body (_) @statement)
(then (_) @statement)
(else (_) @statement)
(do (_) @statement)
(class name: [(constant) @name (scope_resolution scope: (_) @scope name: (constant) @name)] body: (_)? @body) @definition.class
(module name: [(constant) @name (scope_resolution scope: (_) @scope name: (constant) @name)] body: (_)? @body) @definition.namespace
(method name: (_) @name body: (_)? @body) @definition.function
(singleton_method name: (_) @name body: (_)? @body) @definition.function

; A comment belongs to the code after it, so it begins nothing.
(comment) @comment

; Ruby imports by calling.
((call !receiver method: (identifier) @_method arguments: (argument_list . (string) @import.name)) @import
  (#any-of? @_method "require" "require_relative" "load" "autoload"))

; Names. Every identifier is a reference unless a pattern below, or a definition's name, says otherwise.
[(identifier) (constant) (instance_variable) (class_variable) (global_variable)] @reference

(assignment left: [(identifier) (constant) (instance_variable) (class_variable) (global_variable)] @binding)
(operator_assignment left: [(identifier) (instance_variable) (class_variable)] @binding)
(assignment left: (call method: (identifier) @binding))
(left_assignment_list [(identifier) (instance_variable)] @binding)
(for pattern: (identifier) @binding)
(exception_variable (identifier) @binding)

(method_parameters (identifier) @parameter)
(lambda_parameters (identifier) @parameter)
(block_parameters (identifier) @parameter)
(destructured_parameter (identifier) @parameter)
[(optional_parameter name: (identifier) @parameter) (keyword_parameter name: (identifier) @parameter)
  (splat_parameter name: (identifier) @parameter) (hash_splat_parameter name: (identifier) @parameter)
  (block_parameter name: (identifier) @parameter)]

; What of a file could not be parsed.
(ERROR) @error
