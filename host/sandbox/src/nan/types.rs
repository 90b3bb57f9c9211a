//! The types of a module, as far as they say how many values an instruction takes and leaves.

use wasmparser::{
    BinaryReaderError, BlockType, CompositeInnerType, ContType, FrameKind, FuncType, FunctionSectionReader,
    ImportSectionReader, ModuleArity, RefType, SubType, TypeRef, TypeSectionReader,
};

#[derive(Default)]
pub(super) struct Types {
    types: Vec<SubType>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    imported: usize,
}

impl Types {
    pub(super) fn read_types(&mut self, types: TypeSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for group in types {
            self.types.extend(group?.into_types());
        }
        Ok(())
    }

    pub(super) fn read_imports(&mut self, imports: ImportSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for import in imports.into_imports() {
            if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import?.ty {
                self.functions.push(ty);
            }
        }
        self.imported = self.functions.len();
        Ok(())
    }

    pub(super) fn read_functions(
        &mut self,
        functions: FunctionSectionReader<'_>,
    ) -> Result<(), BinaryReaderError> {
        for ty in functions {
            self.functions.push(ty?);
        }
        Ok(())
    }

    fn func(&self, ty: u32) -> Option<&FuncType> {
        match &self.types.get(ty as usize)?.composite_type.inner {
            CompositeInnerType::Func(function) => Some(function),
            _ => None,
        }
    }

    /// The type of the function at a place of the code section.
    pub(super) fn body(&self, place: u32) -> Option<&FuncType> {
        self.func(*self.functions.get(self.imported + place as usize)?)
    }

    /// How many values a block takes and leaves.
    pub(super) fn block(&self, ty: BlockType) -> (usize, usize) {
        match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(ty) => {
                self.func(ty).map_or((0, 0), |function| (function.params().len(), function.results().len()))
            }
        }
    }
}

impl ModuleArity for Types {
    fn sub_type_at(&self, ty: u32) -> Option<&SubType> {
        self.types.get(ty as usize)
    }

    fn tag_type_arity(&self, _: u32) -> Option<(u32, u32)> {
        None
    }

    fn type_index_of_function(&self, function: u32) -> Option<u32> {
        self.functions.get(function as usize).copied()
    }

    fn func_type_of_cont_type(&self, _: &ContType) -> Option<&FuncType> {
        None
    }

    fn sub_type_of_ref_type(&self, _: &RefType) -> Option<&SubType> {
        None
    }

    // Instructions that leave a block are not asked for what they take and leave.
    fn control_stack_height(&self) -> u32 {
        0
    }

    fn label_block(&self, _: u32) -> Option<(BlockType, FrameKind)> {
        None
    }
}
