//! What can be wrong with a Kafka broker, and with the cluster as it tells of it.

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The last of the brokers is not registered.
    BrokerMissing,
    /// The last of the brokers is there and behind: it is in sync with no partition that others have as well.
    UnderReplicated,
    /// Nobody leads the first partition of any topic.
    NoLeader,
    /// Each broker says that it is on the loopback of whoever asks.
    AdvertisesLocalhost,
    /// The last of the brokers says that it is on a port where nobody listens.
    AdvertisesClosedPort,
    /// All brokers say that they are where the first one is.
    AdvertisesOneName,
    /// Each says that it is at the name of its pod alone, which nobody else can resolve.
    AdvertisesPodName,
    /// No controller leads: what only that one can say or do is not answered.
    NoQuorum,
    /// The user may not ask who the controllers are.
    QuorumRefused,
    /// The last of the voters is none.
    VoterMissing,
    /// The last of the voters is a minute behind.
    VoterLags,
    /// The last of the voters has never caught up with the controller that leads.
    VoterLost,
    /// Topics that were there are not, and are not said to be.
    TopicsMissing,
    /// Each topic has one partition.
    FewerPartitions,
    /// Each partition has one replica.
    FewerReplicas,
    /// The user may make no topics.
    RefusesTopics,
    /// There are too few brokers for any number of replicas, though they are all told of.
    TooFewBrokers,
    /// Too few replicas are in sync for records to be taken.
    RefusesWrites,
    /// The disk of each broker has failed.
    StorageError,
    /// Records are acknowledged and not kept.
    LosesRecords,
    /// Records have other values than were produced.
    OtherValue,
    /// Nobody coordinates any group, and nobody ever will.
    NoCoordinator,
    /// The user may join no group.
    RefusesGroups,
    /// Nobody may see any topic but those of probes.
    HidesTopics,
    /// Offsets are committed and not kept.
    ForgetsOffsets,
    /// A topic is made by being asked for, whatever the client says.
    AcceptsUnknownTopic,
    /// No topic can be deleted.
    KeepsTopics,
    /// Nobody leads what a broker has led that is gone.
    NeverElects,
    /// Nobody does for long.
    ElectsLate,
    /// Whoever leads what a broker has led that is gone has none of its records.
    LeadsEmpty,
    /// Once a broker is gone, no group has committed anything.
    CoordinatesEmpty,
    /// Nobody coordinates for long what a broker has coordinated that is gone.
    CoordinatesLate,
    /// Nobody coordinates what a broker has coordinated that is gone until it is back.
    CoordinatesAlone,
    /// Once a broker is gone, nobody may ask how far a group has come.
    CoordinatesNobody,
    /// No password is right.
    RejectsLogin,
    /// Every password is right.
    AcceptsAnyPassword,
    /// It takes another mechanism than the one that clients come with.
    NoMechanism,
    /// It is so new that it takes no question for metadata that is asked today.
    OtherVersions,
    /// It closes each connection within its answer.
    ClosesMidReply,
    /// It is a web server.
    NotKafka,
    /// It takes questions and answers none.
    Hangs,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::BrokerMissing,
        Self::UnderReplicated,
        Self::NoLeader,
        Self::AdvertisesLocalhost,
        Self::AdvertisesClosedPort,
        Self::AdvertisesOneName,
        Self::AdvertisesPodName,
        Self::NoQuorum,
        Self::QuorumRefused,
        Self::VoterMissing,
        Self::VoterLags,
        Self::VoterLost,
        Self::TopicsMissing,
        Self::FewerPartitions,
        Self::FewerReplicas,
        Self::RefusesTopics,
        Self::TooFewBrokers,
        Self::RefusesWrites,
        Self::StorageError,
        Self::LosesRecords,
        Self::OtherValue,
        Self::NoCoordinator,
        Self::RefusesGroups,
        Self::HidesTopics,
        Self::ForgetsOffsets,
        Self::AcceptsUnknownTopic,
        Self::KeepsTopics,
        Self::NeverElects,
        Self::ElectsLate,
        Self::LeadsEmpty,
        Self::CoordinatesEmpty,
        Self::CoordinatesLate,
        Self::CoordinatesAlone,
        Self::CoordinatesNobody,
        Self::RejectsLogin,
        Self::AcceptsAnyPassword,
        Self::NoMechanism,
        Self::OtherVersions,
        Self::ClosesMidReply,
        Self::NotKafka,
        Self::Hangs,
    ];

    /// Its name in kebab case.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BrokerMissing => "broker-missing",
            Self::UnderReplicated => "under-replicated",
            Self::NoLeader => "no-leader",
            Self::AdvertisesLocalhost => "advertises-localhost",
            Self::AdvertisesClosedPort => "advertises-closed-port",
            Self::AdvertisesOneName => "advertises-one-name",
            Self::AdvertisesPodName => "advertises-pod-name",
            Self::NoQuorum => "no-quorum",
            Self::QuorumRefused => "quorum-refused",
            Self::VoterMissing => "voter-missing",
            Self::VoterLags => "voter-lags",
            Self::VoterLost => "voter-lost",
            Self::TopicsMissing => "topics-missing",
            Self::FewerPartitions => "fewer-partitions",
            Self::FewerReplicas => "fewer-replicas",
            Self::RefusesTopics => "refuses-topics",
            Self::TooFewBrokers => "too-few-brokers",
            Self::RefusesWrites => "refuses-writes",
            Self::StorageError => "storage-error",
            Self::LosesRecords => "loses-records",
            Self::OtherValue => "other-value",
            Self::NoCoordinator => "no-coordinator",
            Self::RefusesGroups => "refuses-groups",
            Self::HidesTopics => "hides-topics",
            Self::ForgetsOffsets => "forgets-offsets",
            Self::AcceptsUnknownTopic => "accepts-unknown-topic",
            Self::KeepsTopics => "keeps-topics",
            Self::NeverElects => "never-elects",
            Self::ElectsLate => "elects-late",
            Self::LeadsEmpty => "leads-empty",
            Self::CoordinatesEmpty => "coordinates-empty",
            Self::CoordinatesLate => "coordinates-late",
            Self::CoordinatesAlone => "coordinates-alone",
            Self::CoordinatesNobody => "coordinates-nobody",
            Self::RejectsLogin => "rejects-login",
            Self::AcceptsAnyPassword => "accepts-any-password",
            Self::NoMechanism => "no-mechanism",
            Self::OtherVersions => "other-versions",
            Self::ClosesMidReply => "closes-mid-reply",
            Self::NotKafka => "not-kafka",
            Self::Hangs => "hangs",
        }
    }
}
