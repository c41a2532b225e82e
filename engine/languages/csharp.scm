; language:   csharp
; extensions: .cs .csx
; grammar:    tree-sitter-c-sharp/tree-sitter-c_sharp.wasm

; Where a chunk may begin.
(compilation_unit (_) @statement)
(block (_) @statement)
(declaration_list (_) @statement)
(switch_section (_) @statement)
(enum_member_declaration_list (_) @statement)
(class_declaration name: (identifier) @name body: (_) @body) @definition.class
(interface_declaration name: (identifier) @name body: (_) @body) @definition.class
(struct_declaration name: (identifier) @name body: (_) @body) @definition.class
(enum_declaration name: (identifier) @name body: (_) @body) @definition.class
(record_declaration name: (identifier) @name body: (_)? @body) @definition.class
(delegate_declaration name: (identifier) @name) @definition.class
(method_declaration name: (identifier) @name body: (_)? @body) @definition.function
(constructor_declaration name: (identifier) @name body: (_) @body) @definition.function
(destructor_declaration name: (identifier) @name body: (_) @body) @definition.function
(local_function_statement name: (identifier) @name body: (_) @body) @definition.function
(property_declaration name: (identifier) @name accessors: (_) @body) @definition.function
(property_declaration name: (identifier) @name value: (arrow_expression_clause) @body) @definition.function
(namespace_declaration name: (_) @name body: (_) @body) @definition.namespace

; Comments and attributes belong to the code after them, so they begin nothing.
(comment) @comment
(attribute_list) @attribute

[(using_directive) (file_scoped_namespace_declaration)] @import
(using_directive name: (identifier) (_) @import.name)
(using_directive !name [(identifier) (qualified_name)] @import.name)
(using_directive [(identifier) @import.part (qualified_name name: (identifier) @import.part)])

; Names. Every identifier is a reference unless a pattern below, or a definition's name, says otherwise.
(identifier) @reference

(variable_declarator name: (identifier) @binding)
(enum_member_declaration name: (identifier) @binding)
(foreach_statement left: (identifier) @binding)
(assignment_expression left: [(identifier) @binding (member_access_expression name: (identifier) @binding)])
(catch_declaration name: (identifier) @binding)
(declaration_pattern name: (identifier) @binding)

(parameter name: (identifier) @parameter)
(implicit_parameter) @parameter
(type_parameter name: (identifier) @parameter)

; What of a file could not be parsed.
(ERROR) @error
