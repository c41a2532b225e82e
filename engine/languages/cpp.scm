; language:   cpp
; extensions: .cpp .cc .cxx .c++ .hpp .hh .hxx .h++ .ipp .tpp .tcc .inl .h .cu .cuh .ino
; grammar:    tree-sitter-cpp/tree-sitter-cpp.wasm
; inherits:   c

; A header may be C or C++, and its name does not say. C++ reads nearly all of C, C reads no class: `.h` is C++.

; Where a chunk may begin. A function defined outside its class carries the class as its scope.
(declaration_list (_) @statement)
(field_declaration_list (_) @statement)
(case_statement (_) @statement)
(class_specifier name: [
  (type_identifier) @name (template_type name: (type_identifier) @name)
  (qualified_identifier scope: (_) @scope name: (type_identifier) @name)
] body: (_) @body) @definition.class
(struct_specifier name: (template_type name: (type_identifier) @name) body: (_) @body) @definition.class
(function_definition declarator: (function_declarator declarator: (field_identifier) @name) body: (_) @body) @definition.function
(function_definition declarator: (function_declarator declarator: [
  (destructor_name) (operator_name)] @name) body: (_) @body) @definition.function
(function_definition declarator: (function_declarator declarator: [
  (identifier) (field_identifier) (destructor_name) (operator_name)] @name)
  [(default_method_clause) (delete_method_clause)]) @definition.function
(function_definition declarator: (reference_declarator (function_declarator declarator: [
  (identifier) (field_identifier) (operator_name)] @name)) body: (_) @body) @definition.function
(function_definition declarator: (pointer_declarator declarator: (function_declarator declarator:
  (field_identifier) @name)) body: (_) @body) @definition.function
(function_definition
  declarator: (function_declarator declarator: (qualified_identifier scope: (_) @scope name: [
    (identifier) (destructor_name) (operator_name)] @name))
  body: (_) @body) @definition.function
(function_definition
  declarator: [
    (pointer_declarator declarator: (function_declarator declarator: (qualified_identifier scope: (_) @scope name: (_) @name)))
    (reference_declarator (function_declarator declarator: (qualified_identifier scope: (_) @scope name: (_) @name)))
  ]
  body: (_) @body) @definition.function
(namespace_definition name: (_) @name body: (_) @body) @definition.namespace
(alias_declaration name: (type_identifier) @name) @definition.class
(concept_definition name: (identifier) @name) @definition.class
(template_declaration (function_definition
  declarator: (function_declarator declarator: [(identifier) (field_identifier) (operator_name)] @name)
  body: (_) @body) @definition.function) @wrapper
(template_declaration (function_definition
  declarator: (function_declarator declarator: (qualified_identifier scope: (_) @scope name: (_) @name))
  body: (_) @body) @definition.function) @wrapper
(template_declaration (class_specifier name: (_) @name body: (_) @body) @definition.class) @wrapper
(template_declaration (struct_specifier name: (_) @name body: (_) @body) @definition.class) @wrapper
(template_declaration (alias_declaration name: (type_identifier) @name) @definition.class) @wrapper
(template_declaration (concept_definition name: (identifier) @name) @definition.class) @wrapper

; Access labels and attributes belong to the code after them, so they begin nothing.
(field_declaration_list (access_specifier) @comment)
(attribute_declaration) @attribute

(using_declaration) @import
(using_declaration [(identifier) (qualified_identifier)] @import.name)

(namespace_identifier) @reference
(for_range_loop declarator: [(identifier) @binding (reference_declarator (identifier) @binding)])
(declaration declarator: (init_declarator declarator: [
  (reference_declarator (identifier) @binding)
  (structured_binding_declarator (identifier) @binding)
]))
(field_declaration declarator: [
  (function_declarator declarator: (field_identifier) @binding)
  (pointer_declarator declarator: (function_declarator declarator: (field_identifier) @binding))
  (reference_declarator (function_declarator declarator: (field_identifier) @binding))
])
(parameter_declaration declarator: [
  (reference_declarator (identifier) @parameter)
  (variadic_declarator (identifier) @parameter)
])
(optional_parameter_declaration declarator: [
  (identifier) @parameter
  (pointer_declarator declarator: (identifier) @parameter)
  (reference_declarator (identifier) @parameter)
])
(type_parameter_declaration (type_identifier) @parameter)
(optional_type_parameter_declaration name: (type_identifier) @parameter)
(variadic_type_parameter_declaration (type_identifier) @parameter)
