//! What can be wrong with it.

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No object is taken: the disk is full.
    NoSpace,
    /// Nothing may be changed with the key.
    ReadOnly,
    /// Objects are taken and not kept.
    LosesObjects,
    /// Every object has another content.
    OtherBytes,
    /// No ETag is that of what was put.
    WrongEtag,
    /// A bucket is listed without its objects.
    ListsNothing,
    /// Nobody gets anything for a presigned address.
    RefusesPresigned,
    /// Whatever is signed is taken, whoever signs.
    AcceptsAnySignature,
    /// Whoever signs anything does what he likes with objects, and nobody may list them.
    RefusesLists,
    /// Everybody reads every object.
    Public,
    /// Objects are said to be deleted, and stay.
    KeepsObjects,
    /// Nothing may be deleted.
    RefusesDeletes,
    /// No bucket may be deleted.
    KeepsBuckets,
    /// Who signs nothing is asked to come more slowly.
    SlowToStrangers,
    /// Who asks for what is not there is asked to come more slowly.
    SlowOnceDeleted,
    /// No bucket is there.
    NoBucket,
    /// No signature is right.
    RejectsKey,
    /// Its clock is an hour behind.
    OtherTime,
    /// Everybody is asked to come more slowly.
    Overloaded,
    /// The connection ends within an answer.
    ClosesMidReply,
    /// It is a web server of another kind.
    NotS3,
    /// Requests are taken and not answered.
    Hangs,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::NoSpace,
        Self::ReadOnly,
        Self::LosesObjects,
        Self::OtherBytes,
        Self::WrongEtag,
        Self::ListsNothing,
        Self::RefusesPresigned,
        Self::AcceptsAnySignature,
        Self::RefusesLists,
        Self::Public,
        Self::KeepsObjects,
        Self::RefusesDeletes,
        Self::KeepsBuckets,
        Self::SlowToStrangers,
        Self::SlowOnceDeleted,
        Self::NoBucket,
        Self::RejectsKey,
        Self::OtherTime,
        Self::Overloaded,
        Self::ClosesMidReply,
        Self::NotS3,
        Self::Hangs,
    ];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoSpace => "no-space",
            Self::ReadOnly => "read-only",
            Self::LosesObjects => "loses-objects",
            Self::OtherBytes => "other-bytes",
            Self::WrongEtag => "wrong-etag",
            Self::ListsNothing => "lists-nothing",
            Self::RefusesPresigned => "refuses-presigned",
            Self::AcceptsAnySignature => "accepts-any-signature",
            Self::RefusesLists => "refuses-lists",
            Self::Public => "public",
            Self::KeepsObjects => "keeps-objects",
            Self::RefusesDeletes => "refuses-deletes",
            Self::KeepsBuckets => "keeps-buckets",
            Self::SlowToStrangers => "slow-to-strangers",
            Self::SlowOnceDeleted => "slow-once-deleted",
            Self::NoBucket => "no-bucket",
            Self::RejectsKey => "rejects-key",
            Self::OtherTime => "other-time",
            Self::Overloaded => "overloaded",
            Self::ClosesMidReply => "closes-mid-reply",
            Self::NotS3 => "not-s3",
            Self::Hangs => "hangs",
        }
    }
}
